"""A UNet with residual blocks, self-attention at low resolutions, and time and label embeddings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class UNetConfig:
    """Sizes of the network."""

    in_channels: int = 3
    image_size: int = 32
    num_classes: int = 10
    width: int = 64
    multipliers: tuple[int, ...] = (1, 2, 2, 4)
    blocks_per_level: int = 2
    attention_sizes: tuple[int, ...] = (16, 8)  # resolutions with attention
    num_heads: int = 4
    groups: int = 16
    dropout: float = 0.1

    @property
    def embed_dim(self) -> int:
        """Width of the embedding of time and label."""
        return 4 * self.width


class TimeEmbedding(nn.Module):
    """Sinusoids of the step, then a small network."""

    freqs: Tensor

    def __init__(self, *, width: int, out_dim: int, max_period: float = 10_000.0) -> None:
        super().__init__()
        half = width // 2
        freqs = torch.exp(-math.log(max_period) * torch.arange(half) / half)
        self.register_buffer("freqs", freqs, persistent=False)
        self.mlp = nn.Sequential(nn.Linear(width, out_dim), nn.SiLU(), nn.Linear(out_dim, out_dim))

    def forward(self, t: Tensor) -> Tensor:
        """(B,) -> (B, E)."""
        angles = t.float()[:, None] * self.freqs[None, :]  # (B, width / 2)
        return self.mlp(torch.cat([angles.cos(), angles.sin()], dim=1))


class ResBlock(nn.Module):
    """Two convolutions; the embedding scales and shifts what lies between them."""

    def __init__(self, *, in_channels: int, out_channels: int, config: UNetConfig) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(config.groups, in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        self.modulation = nn.Linear(config.embed_dim, 2 * out_channels)
        self.norm2 = nn.GroupNorm(config.groups, out_channels)
        self.dropout = nn.Dropout(config.dropout)
        self.conv2 = zero_init(nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1))
        self.skip: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.skip = nn.Conv2d(in_channels, out_channels, kernel_size=1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """x (B, C, H, W), emb (B, E) -> (B, C', H, W)."""
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.modulation(F.silu(emb))[:, :, None, None].chunk(2, dim=1)  # (B, C', 1, 1)
        h = self.norm2(h) * (1.0 + scale) + shift
        h = self.conv2(self.dropout(F.silu(h)))
        return self.skip(x) + h


class SpatialAttention(nn.Module):
    """Self-attention between all positions of a feature map."""

    def __init__(self, *, channels: int, config: UNetConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.norm = nn.GroupNorm(config.groups, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, kernel_size=1)
        self.out = zero_init(nn.Conv2d(channels, channels, kernel_size=1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        batch, channels, height, width = x.shape
        head_dim = channels // self.num_heads
        qkv = self.qkv(self.norm(x)).reshape(batch, 3, self.num_heads, head_dim, height * width)
        q, k, v = qkv.transpose(-2, -1).unbind(dim=1)  # (B, h, H * W, d) each
        mixed = F.scaled_dot_product_attention(q, k, v)
        mixed = mixed.transpose(-2, -1).reshape(batch, channels, height, width)
        return x + self.out(mixed)


class Stage(nn.Module):
    """A residual block, followed by attention where the resolution asks for it."""

    def __init__(self, *, in_channels: int, out_channels: int, attend: bool, config: UNetConfig) -> None:
        super().__init__()
        self.block = ResBlock(in_channels=in_channels, out_channels=out_channels, config=config)
        self.attention = SpatialAttention(channels=out_channels, config=config) if attend else nn.Identity()

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """x (B, C, H, W), emb (B, E) -> (B, C', H, W)."""
        return self.attention(self.block(x, emb))


class Downsample(nn.Conv2d):
    """Halve the resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, kernel_size=3, stride=2, padding=1)


class Upsample(nn.Module):
    """Double the resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 2H, 2W)."""
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


def zero_init(layer: nn.Conv2d) -> nn.Conv2d:
    """Make a layer start as zero, so that its residual branch starts as the identity."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class UNet(nn.Module):
    """Predict v from a noisy image, its step and its label; label num_classes means no label."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        self.time_embedding = TimeEmbedding(width=config.width, out_dim=config.embed_dim)
        self.label_embedding = nn.Embedding(config.num_classes + 1, config.embed_dim)
        self.stem = nn.Conv2d(config.in_channels, config.width, kernel_size=3, padding=1)
        widths = [config.width * multiplier for multiplier in config.multipliers]
        skips = self.build_down(widths)  # channels of every saved feature map

        last = widths[-1]
        self.middle = nn.ModuleList(
            [
                Stage(in_channels=last, out_channels=last, attend=True, config=config),
                Stage(in_channels=last, out_channels=last, attend=False, config=config),
            ]
        )
        self.build_up(widths, skips)
        self.head = nn.Sequential(
            nn.GroupNorm(config.groups, widths[0]),
            nn.SiLU(),
            zero_init(nn.Conv2d(widths[0], config.in_channels, kernel_size=3, padding=1)),
        )

    def attends(self, level: int) -> bool:
        """Whether a level's resolution has attention."""
        return self.config.image_size // 2**level in self.config.attention_sizes

    def build_down(self, widths: list[int]) -> list[int]:
        """Make the contracting path; returns the channels of its outputs in order."""
        self.down = nn.ModuleList()
        channels, skips = self.config.width, [self.config.width]
        for level, width in enumerate(widths):
            for _ in range(self.config.blocks_per_level):
                attend = self.attends(level)
                self.down.append(
                    Stage(in_channels=channels, out_channels=width, attend=attend, config=self.config)
                )
                channels = width
                skips.append(channels)
            if level < len(widths) - 1:
                self.down.append(Downsample(channels))
                skips.append(channels)
        return skips

    def build_up(self, widths: list[int], skips: list[int]) -> None:
        """Make the expanding path, which takes the saved feature maps from the last to the first."""
        self.up = nn.ModuleList()
        channels, waiting = widths[-1], list(skips)
        for level, width in reversed(list(enumerate(widths))):
            for _ in range(self.config.blocks_per_level + 1):
                in_channels = channels + waiting.pop()
                attend = self.attends(level)
                self.up.append(
                    Stage(in_channels=in_channels, out_channels=width, attend=attend, config=self.config)
                )
                channels = width
            if level > 0:
                self.up.append(Upsample(channels))

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """x (B, C, H, W), t (B,), labels (B,) -> (B, C, H, W)."""
        emb = self.time_embedding(t) + self.label_embedding(labels)  # (B, E)
        x = self.stem(x)
        saved = [x]
        for layer in self.down:
            x = layer(x, emb) if isinstance(layer, Stage) else layer(x)
            saved.append(x)
        for stage in self.middle:
            x = stage(x, emb)
        for layer in self.up:
            x = layer(torch.cat([x, saved.pop()], dim=1), emb) if isinstance(layer, Stage) else layer(x)
        return self.head(x)
