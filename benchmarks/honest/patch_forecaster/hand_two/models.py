"""Patch transformer and the baselines.

Every model maps (batch, context, channels) to (batch, horizon, channels, outputs), where
`outputs` is the number of quantiles, or 1 for a point forecast.
"""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RevIN(nn.Module):
    """Reversible instance normalisation over the time axis."""

    def __init__(self, channels: int, affine: bool = True, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.affine = affine
        if affine:
            self.gain = nn.Parameter(torch.ones(channels))
            self.bias = nn.Parameter(torch.zeros(channels))

    def normalize(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        mean = x.mean(dim=1, keepdim=True).detach()
        std = (x.var(dim=1, keepdim=True, unbiased=False) + self.eps).sqrt().detach()
        x = (x - mean) / std
        if self.affine:
            x = x * self.gain + self.bias
        return x, (mean, std)

    def denormalize(self, y: Tensor, stats: tuple[Tensor, Tensor]) -> Tensor:
        """y: (batch, horizon, channels, outputs)"""
        mean, std = stats
        if self.affine:
            y = (y - self.bias[:, None]) / (self.gain[:, None] + self.eps)
        return y * std.unsqueeze(-1) + mean.unsqueeze(-1)


class FlattenHead(nn.Module):
    def __init__(self, num_patches: int, dim: int, size: int, dropout: float):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(num_patches * dim, size))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class PooledHead(nn.Module):
    def __init__(self, dim: int, size: int, dropout: float):
        super().__init__()
        self.net = nn.Sequential(nn.LayerNorm(dim), nn.Dropout(dropout), nn.Linear(dim, size))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.mean(dim=1))


class PatchTransformer(nn.Module):
    def __init__(self, channels: int, context: int, horizon: int, *, outputs: int = 1,
                 patch: int = 16, stride: int = 8, dim: int = 128, depth: int = 3, heads: int = 8,
                 ff_dim: int = 256, dropout: float = 0.2, head: str = "flatten"):
        super().__init__()
        self.horizon, self.outputs = horizon, outputs
        self.patch, self.stride = patch, stride
        # Repeat the last value so that the final patch always covers the end of the context.
        self.pad = (-(context - patch)) % stride if context >= patch else patch - context
        num_patches = (context + self.pad - patch) // stride + 1
        self.revin = RevIN(channels)
        self.embed = nn.Linear(patch, dim)
        self.pos = nn.Parameter(torch.randn(1, num_patches, dim) * 0.02)
        self.dropout = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(dim, heads, ff_dim, dropout, activation="gelu",
                                           batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, norm=nn.LayerNorm(dim),
                                             enable_nested_tensor=False)
        size = horizon * outputs
        if head == "flatten":
            self.head: nn.Module = FlattenHead(num_patches, dim, size, dropout)
        elif head == "pooled":
            self.head = PooledHead(dim, size, dropout)
        else:
            raise ValueError(f"unknown head {head!r}")

    def forward(self, x: Tensor) -> Tensor:
        b, _, c = x.shape
        x, stats = self.revin.normalize(x)
        series = x.transpose(1, 2).reshape(b * c, -1)  # every channel is a sample of its own
        if self.pad:
            series = torch.cat([series, series[:, -1:].expand(-1, self.pad)], dim=1)
        patches = series.unfold(1, self.patch, self.stride)
        tokens = self.encoder(self.dropout(self.embed(patches) + self.pos))
        y = self.head(tokens).reshape(b, c, self.horizon, self.outputs)
        return self.revin.denormalize(y.transpose(1, 2), stats)


class DLinear(nn.Module):
    """Trend and remainder, each forecast by one linear layer shared between channels."""

    def __init__(self, context: int, horizon: int, outputs: int = 1, kernel: int = 25):
        super().__init__()
        self.kernel, self.horizon, self.outputs = kernel, horizon, outputs
        self.trend = nn.Linear(context, horizon * outputs)
        self.remainder = nn.Linear(context, horizon * outputs)

    def forward(self, x: Tensor) -> Tensor:
        series = x.transpose(1, 2)
        left = (self.kernel - 1) // 2
        padded = F.pad(series, (left, self.kernel - 1 - left), mode="replicate")
        trend = F.avg_pool1d(padded, self.kernel, stride=1)
        y = self.trend(trend) + self.remainder(series - trend)
        return y.reshape(*series.shape[:2], self.horizon, self.outputs).transpose(1, 2)


class SeasonalNaive(nn.Module):
    """Repeats the last season; all quantiles coincide."""

    def __init__(self, horizon: int, season: int, outputs: int = 1):
        super().__init__()
        self.horizon, self.season, self.outputs = horizon, season, outputs

    def forward(self, x: Tensor) -> Tensor:
        season = min(self.season, x.shape[1])
        index = torch.arange(self.horizon, device=x.device) % season
        y = x[:, -season:][:, index]
        return y.unsqueeze(-1).expand(-1, -1, -1, self.outputs)
