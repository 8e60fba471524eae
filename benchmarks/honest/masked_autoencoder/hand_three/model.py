"""Masked autoencoder and the plain ViT classifier that reuses its encoder."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn


@dataclass
class MAEConfig:
    img_size: int = 224
    patch_size: int = 16
    in_chans: int = 3
    dim: int = 768
    depth: int = 12
    heads: int = 12
    decoder_dim: int = 512
    decoder_depth: int = 8
    decoder_heads: int = 16
    mlp_ratio: float = 4.0
    mask_ratio: float = 0.75
    norm_pix_loss: bool = True

    @property
    def grid(self) -> int:
        return self.img_size // self.patch_size

    @property
    def num_patches(self) -> int:
        return self.grid**2


PRESETS = {
    "tiny": dict(dim=192, depth=12, heads=3, decoder_dim=128, decoder_depth=4, decoder_heads=4),
    "small": dict(dim=384, depth=12, heads=6, decoder_dim=256, decoder_depth=4, decoder_heads=8),
    "base": dict(),
    "large": dict(dim=1024, depth=24, heads=16),
}


def sincos_1d(dim: int, pos: np.ndarray) -> np.ndarray:
    freqs = 1.0 / 10000 ** (np.arange(dim // 2, dtype=np.float64) / (dim / 2))
    angles = pos.reshape(-1, 1) * freqs[None, :]
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def sincos_2d(dim: int, grid: int) -> torch.Tensor:
    """Fixed position table of shape (1, 1 + grid*grid, dim); row 0 is the class token."""
    assert dim % 4 == 0, "2D sine-cosine positions need a dimension divisible by four"
    ys, xs = np.meshgrid(np.arange(grid), np.arange(grid), indexing="ij")
    table = np.concatenate([sincos_1d(dim // 2, ys), sincos_1d(dim // 2, xs)], axis=1)
    table = np.concatenate([np.zeros((1, dim)), table], axis=0)
    return torch.from_numpy(table).float().unsqueeze(0)


def make_blocks(dim: int, depth: int, heads: int, mlp_ratio: float) -> nn.ModuleList:
    return nn.ModuleList(
        nn.TransformerEncoderLayer(dim, heads, int(dim * mlp_ratio), dropout=0.0, activation="gelu",
                                   layer_norm_eps=1e-6, batch_first=True, norm_first=True)
        for _ in range(depth)
    )


def init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class Encoder(nn.Module):
    def __init__(self, cfg: MAEConfig):
        super().__init__()
        self.patch_embed = nn.Conv2d(cfg.in_chans, cfg.dim, cfg.patch_size, cfg.patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, cfg.dim))
        self.register_buffer("pos", sincos_2d(cfg.dim, cfg.grid), persistent=False)
        self.blocks = make_blocks(cfg.dim, cfg.depth, cfg.heads, cfg.mlp_ratio)
        self.norm = nn.LayerNorm(cfg.dim, eps=1e-6)
        self.apply(init_weights)
        nn.init.xavier_uniform_(self.patch_embed.weight.data.flatten(1))
        nn.init.normal_(self.cls_token, std=0.02)

    def forward(self, imgs: torch.Tensor, keep: torch.Tensor | None = None) -> torch.Tensor:
        """Encode all patches, or only those whose indices (B, K) are given in `keep`."""
        x = self.patch_embed(imgs).flatten(2).transpose(1, 2) + self.pos[:, 1:]
        if keep is not None:
            x = x.gather(1, keep.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
        cls = (self.cls_token + self.pos[:, :1]).expand(x.shape[0], -1, -1)
        x = torch.cat([cls, x], dim=1)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Decoder(nn.Module):
    def __init__(self, cfg: MAEConfig):
        super().__init__()
        dim = cfg.decoder_dim
        self.embed = nn.Linear(cfg.dim, dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.register_buffer("pos", sincos_2d(dim, cfg.grid), persistent=False)
        self.blocks = make_blocks(dim, cfg.decoder_depth, cfg.decoder_heads, cfg.mlp_ratio)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, cfg.patch_size**2 * cfg.in_chans)
        self.apply(init_weights)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(self, latent: torch.Tensor, restore: torch.Tensor) -> torch.Tensor:
        x = self.embed(latent)
        cls, visible = x[:, :1], x[:, 1:]
        b, n = restore.shape
        fill = self.mask_token.to(x.dtype).expand(b, n - visible.shape[1], -1)
        tokens = torch.cat([visible, fill], dim=1)
        tokens = tokens.gather(1, restore.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))
        x = torch.cat([cls, tokens], dim=1) + self.pos
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))[:, 1:]


class MaskedAutoencoder(nn.Module):
    def __init__(self, cfg: MAEConfig):
        super().__init__()
        self.cfg = cfg
        self.encoder = Encoder(cfg)
        self.decoder = Decoder(cfg)

    def patchify(self, imgs: torch.Tensor) -> torch.Tensor:
        p, g = self.cfg.patch_size, self.cfg.grid
        x = imgs.reshape(imgs.shape[0], self.cfg.in_chans, g, p, g, p)
        return x.permute(0, 2, 4, 3, 5, 1).reshape(imgs.shape[0], g * g, -1)

    def unpatchify(self, patches: torch.Tensor) -> torch.Tensor:
        p, g, c = self.cfg.patch_size, self.cfg.grid, self.cfg.in_chans
        x = patches.reshape(patches.shape[0], g, g, p, p, c)
        return x.permute(0, 5, 1, 3, 2, 4).reshape(patches.shape[0], c, g * p, g * p)

    def random_mask(self, batch: int, device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Shuffle patches per sample. Returns kept indices, inverse order, mask (1 = hidden)."""
        n = self.cfg.num_patches
        n_keep = int(n * (1 - self.cfg.mask_ratio))
        order = torch.rand(batch, n, device=device).argsort(dim=1)
        restore = order.argsort(dim=1)
        mask = (restore >= n_keep).float()
        return order[:, :n_keep], restore, mask

    def loss(self, imgs: torch.Tensor, pred: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        target = self.patchify(imgs)
        if self.cfg.norm_pix_loss:
            var, mean = torch.var_mean(target, dim=-1, keepdim=True)
            target = (target - mean) / (var + 1e-6).sqrt()
        per_patch = (pred.float() - target).square().mean(dim=-1)
        return (per_patch * mask).sum() / mask.sum()

    def forward(self, imgs: torch.Tensor):
        keep, restore, mask = self.random_mask(imgs.shape[0], imgs.device)
        pred = self.decoder(self.encoder(imgs, keep), restore)
        return self.loss(imgs, pred, mask), pred, mask


class ViTClassifier(nn.Module):
    """Encoder with a linear head; pools by mean over patches or by the class token."""

    def __init__(self, cfg: MAEConfig, num_classes: int, pool: str = "mean"):
        super().__init__()
        self.encoder = Encoder(cfg)
        self.pool = pool
        self.head = nn.Linear(cfg.dim, num_classes)
        nn.init.trunc_normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def forward(self, imgs: torch.Tensor) -> torch.Tensor:
        x = self.encoder(imgs)
        return self.head(x[:, 1:].mean(dim=1) if self.pool == "mean" else x[:, 0])
