"""Masked autoencoder and the ViT classifier that reuses its encoder."""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class MAEConfig:
    image_size: int = 224
    patch_size: int = 16
    in_channels: int = 3
    dim: int = 768
    depth: int = 12
    heads: int = 12
    decoder_dim: int = 512
    decoder_depth: int = 8
    decoder_heads: int = 16
    mlp_ratio: float = 4.0
    mask_ratio: float = 0.75
    normalize_target: bool = True

    @property
    def grid(self) -> int:
        return self.image_size // self.patch_size


def sincos_positions(dim: int, grid: int, cls_token: bool = True) -> Tensor:
    """Fixed 2D sine-cosine table of shape (1, grid*grid (+1), dim)."""
    if dim % 4:
        raise ValueError("dim must be divisible by 4 for 2D sine-cosine positions")
    quarter = dim // 4
    freqs = 1.0 / 10000 ** (torch.arange(quarter, dtype=torch.float64) / quarter)
    coords = torch.arange(grid, dtype=torch.float64)
    rows, cols = torch.meshgrid(coords, coords, indexing="ij")
    parts = []
    for axis in (cols, rows):
        angles = axis.reshape(-1, 1) * freqs
        parts += [angles.sin(), angles.cos()]
    table = torch.cat(parts, dim=1).float()
    if cls_token:
        table = torch.cat([torch.zeros(1, dim), table])
    return table.unsqueeze(0)


def patchify(images: Tensor, p: int) -> Tensor:
    """(B, C, H, W) -> (B, N, p*p*C)"""
    b, c, h, w = images.shape
    x = images.reshape(b, c, h // p, p, w // p, p)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(b, (h // p) * (w // p), p * p * c)


def unpatchify(patches: Tensor, p: int, channels: int = 3) -> Tensor:
    """(B, N, p*p*C) -> (B, C, H, W), assuming a square image."""
    b, n, _ = patches.shape
    side = int(n ** 0.5)
    x = patches.reshape(b, side, side, p, p, channels)
    return x.permute(0, 5, 1, 3, 2, 4).reshape(b, channels, side * p, side * p)


def make_blocks(dim: int, depth: int, heads: int, mlp_ratio: float) -> nn.ModuleList:
    """Pre-norm transformer blocks."""
    return nn.ModuleList(
        nn.TransformerEncoderLayer(dim, heads, int(dim * mlp_ratio), dropout=0.0, activation="gelu",
                                   layer_norm_eps=1e-6, batch_first=True, norm_first=True)
        for _ in range(depth))


def init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


class Encoder(nn.Module):
    """ViT encoder that can optionally drop patches before the transformer blocks."""

    def __init__(self, cfg: MAEConfig):
        super().__init__()
        p = cfg.patch_size
        self.patch_embed = nn.Conv2d(cfg.in_channels, cfg.dim, kernel_size=p, stride=p)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, cfg.dim))
        self.register_buffer("pos", sincos_positions(cfg.dim, cfg.grid), persistent=False)
        self.blocks = make_blocks(cfg.dim, cfg.depth, cfg.heads, cfg.mlp_ratio)
        self.norm = nn.LayerNorm(cfg.dim, eps=1e-6)
        self.apply(init_weights)
        nn.init.xavier_uniform_(self.patch_embed.weight.data.flatten(1))
        nn.init.normal_(self.cls_token, std=0.02)

    def forward(self, images: Tensor, keep: Tensor | None = None) -> Tensor:
        x = self.patch_embed(images).flatten(2).transpose(1, 2) + self.pos[:, 1:]
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
        self.embed = nn.Linear(cfg.dim, cfg.decoder_dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, cfg.decoder_dim))
        self.register_buffer("pos", sincos_positions(cfg.decoder_dim, cfg.grid), persistent=False)
        self.blocks = make_blocks(cfg.decoder_dim, cfg.decoder_depth, cfg.decoder_heads, cfg.mlp_ratio)
        self.norm = nn.LayerNorm(cfg.decoder_dim, eps=1e-6)
        self.head = nn.Linear(cfg.decoder_dim, cfg.patch_size ** 2 * cfg.in_channels)
        self.apply(init_weights)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(self, latent: Tensor, restore: Tensor) -> Tensor:
        x = self.embed(latent)
        cls, visible = x[:, :1], x[:, 1:]
        b, n = restore.shape
        masked = self.mask_token.to(x.dtype).expand(b, n - visible.shape[1], -1)
        tokens = torch.cat([visible, masked], dim=1)
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

    def random_masking(self, batch: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Shuffle the patches of every sample; returns (kept ids, inverse permutation, mask)."""
        n = self.cfg.grid ** 2
        n_keep = int(n * (1 - self.cfg.mask_ratio))
        shuffle = torch.rand(batch, n, device=device).argsort(dim=1)
        restore = shuffle.argsort(dim=1)
        mask = (restore >= n_keep).float()  # 1 = hidden from the encoder
        return shuffle[:, :n_keep], restore, mask

    def loss(self, images: Tensor, pred: Tensor, mask: Tensor) -> Tensor:
        target = patchify(images, self.cfg.patch_size)
        if self.cfg.normalize_target:
            mean = target.mean(dim=-1, keepdim=True)
            var = target.var(dim=-1, keepdim=True)
            target = (target - mean) / (var + 1e-6).sqrt()
        per_patch = (pred.float() - target).square().mean(dim=-1)
        return (per_patch * mask).sum() / mask.sum()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        keep, restore, mask = self.random_masking(images.shape[0], images.device)
        pred = self.decoder(self.encoder(images, keep), restore)
        return self.loss(images, pred, mask), pred, mask


class Classifier(nn.Module):
    def __init__(self, cfg: MAEConfig, num_classes: int, probe: bool = False):
        super().__init__()
        self.encoder = Encoder(cfg)
        # A batch norm without affine parameters calibrates features for the linear probe.
        self.pre_head = nn.BatchNorm1d(cfg.dim, affine=False) if probe else nn.LayerNorm(cfg.dim)
        self.head = nn.Linear(cfg.dim, num_classes)
        nn.init.trunc_normal_(self.head.weight, std=0.01 if probe else 2e-5)
        nn.init.zeros_(self.head.bias)
        if probe:
            self.encoder.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        features = self.encoder(images)[:, 1:].mean(dim=1)
        return self.head(self.pre_head(features))
