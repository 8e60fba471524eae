"""Vision transformer encoder, masked autoencoder and classifier."""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class MAEConfig:
    image_size: int = 96
    patch_size: int = 8
    channels: int = 3
    dim: int = 384
    depth: int = 12
    heads: int = 6
    decoder_dim: int = 192
    decoder_depth: int = 4
    decoder_heads: int = 6
    mlp_ratio: float = 4.0
    mask_ratio: float = 0.75
    normalise_targets: bool = True

    @property
    def grid(self) -> int:
        return self.image_size // self.patch_size

    @property
    def num_patches(self) -> int:
        return self.grid ** 2


def sincos_positions(dim: int, grid: int, cls_token: bool = True) -> Tensor:
    """Fixed 2D positions of shape (1, grid * grid [+ 1], dim); half the channels encode rows."""
    if dim % 4:
        raise ValueError(f"dim must be divisible by 4, got {dim}")
    freqs = 1.0 / 10000 ** (torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    coords = torch.arange(grid, dtype=torch.float64)
    angles = coords[:, None] * freqs[None]
    axis = torch.cat([angles.sin(), angles.cos()], dim=1)  # grid, dim / 2
    rows = axis[:, None].expand(grid, grid, -1)
    cols = axis[None].expand(grid, grid, -1)
    table = torch.cat([rows, cols], dim=-1).reshape(grid * grid, dim)
    if cls_token:
        table = torch.cat([torch.zeros(1, dim, dtype=table.dtype), table])
    return table.float().unsqueeze(0)


def patchify(images: Tensor, p: int) -> Tensor:
    b, c, h, w = images.shape
    x = images.reshape(b, c, h // p, p, w // p, p)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(b, (h // p) * (w // p), p * p * c)


def unpatchify(patches: Tensor, p: int, channels: int = 3) -> Tensor:
    b, n, _ = patches.shape
    g = int(n ** 0.5)
    x = patches.reshape(b, g, g, p, p, channels)
    return x.permute(0, 5, 1, 3, 2, 4).reshape(b, channels, g * p, g * p)


def random_mask(x: Tensor, ratio: float) -> tuple[Tensor, Tensor, Tensor]:
    """Keep a random subset of tokens per sample.

    Returns the kept tokens, a mask (1 = hidden) in the original order, and the
    permutation that undoes the shuffle.
    """
    b, n, d = x.shape
    keep = max(1, int(n * (1 - ratio)))
    shuffle = torch.rand(b, n, device=x.device).argsort(dim=1)
    restore = shuffle.argsort(dim=1)
    visible = x.gather(1, shuffle[:, :keep, None].expand(-1, -1, d))
    mask = (restore >= keep).float()
    return visible, mask, restore


def make_blocks(dim: int, heads: int, depth: int, mlp_ratio: float) -> nn.Sequential:
    """Pre-norm transformer layers without dropout, closed by a layer norm."""
    layers = [
        nn.TransformerEncoderLayer(dim, heads, int(dim * mlp_ratio), dropout=0.0, activation="gelu",
                                   layer_norm_eps=1e-6, batch_first=True, norm_first=True)
        for _ in range(depth)
    ]
    return nn.Sequential(*layers, nn.LayerNorm(dim, eps=1e-6))


def init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class Encoder(nn.Module):
    def __init__(self, cfg: MAEConfig):
        super().__init__()
        self.cfg = cfg
        self.patch_embed = nn.Linear(cfg.patch_size ** 2 * cfg.channels, cfg.dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, cfg.dim))
        self.register_buffer("pos", sincos_positions(cfg.dim, cfg.grid), persistent=False)
        self.blocks = make_blocks(cfg.dim, cfg.heads, cfg.depth, cfg.mlp_ratio)
        self.apply(init_weights)
        nn.init.normal_(self.cls_token, std=0.02)

    def forward(self, images: Tensor, mask_ratio: float = 0.0):
        x = self.patch_embed(patchify(images, self.cfg.patch_size)) + self.pos[:, 1:]
        mask = restore = None
        if mask_ratio > 0:
            x, mask, restore = random_mask(x, mask_ratio)
        cls = (self.cls_token + self.pos[:, :1]).expand(x.shape[0], -1, -1)
        x = torch.cat([cls, x], dim=1)
        return self.blocks(x), mask, restore


class Decoder(nn.Module):
    def __init__(self, cfg: MAEConfig):
        super().__init__()
        self.embed = nn.Linear(cfg.dim, cfg.decoder_dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, cfg.decoder_dim))
        self.register_buffer("pos", sincos_positions(cfg.decoder_dim, cfg.grid), persistent=False)
        self.blocks = make_blocks(cfg.decoder_dim, cfg.decoder_heads, cfg.decoder_depth, cfg.mlp_ratio)
        self.head = nn.Linear(cfg.decoder_dim, cfg.patch_size ** 2 * cfg.channels)
        self.apply(init_weights)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(self, latent: Tensor, restore: Tensor) -> Tensor:
        x = self.embed(latent)
        b, seen, d = x.shape
        hidden = self.mask_token.to(x.dtype).expand(b, restore.shape[1] + 1 - seen, d)
        patches = torch.cat([x[:, 1:], hidden], dim=1)
        patches = patches.gather(1, restore[..., None].expand(-1, -1, d))
        x = torch.cat([x[:, :1], patches], dim=1) + self.pos
        return self.head(self.blocks(x))[:, 1:]


class MaskedAutoencoder(nn.Module):
    def __init__(self, cfg: MAEConfig):
        super().__init__()
        self.cfg = cfg
        self.encoder = Encoder(cfg)
        self.decoder = Decoder(cfg)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        latent, mask, restore = self.encoder(images, self.cfg.mask_ratio)
        pred = self.decoder(latent, restore)
        return self.loss(images, pred, mask), pred, mask

    def loss(self, images: Tensor, pred: Tensor, mask: Tensor) -> Tensor:
        target = patchify(images, self.cfg.patch_size)
        if self.cfg.normalise_targets:
            mean = target.mean(dim=-1, keepdim=True)
            var = target.var(dim=-1, keepdim=True)
            target = (target - mean) / (var + 1e-6).sqrt()
        error = (pred.float() - target).pow(2).mean(dim=-1)
        return (error * mask).sum() / mask.sum()


class Classifier(nn.Module):
    """Encoder with a linear head on the mean of the patch tokens."""

    def __init__(self, cfg: MAEConfig, classes: int):
        super().__init__()
        self.encoder = Encoder(cfg)
        self.head = nn.Linear(cfg.dim, classes)
        nn.init.trunc_normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        tokens, _, _ = self.encoder(images)
        return self.head(tokens[:, 1:].mean(dim=1))
