"""Patch transformer and baselines. All map (B, L, C) to (B, H, C, Q); Q = 1 for point forecasts."""
from __future__ import annotations

import torch
from torch import nn


class RevIN(nn.Module):
    """Reversible instance normalisation with an optional per-channel affine map."""

    def __init__(self, channels: int, affine: bool = True, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.gain = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def normalize(self, x: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        mean = x.mean(dim=1, keepdim=True).detach()
        std = (x.var(dim=1, keepdim=True, unbiased=False) + self.eps).sqrt().detach()
        x = (x - mean) / std
        if self.gain is not None:
            x = x * self.gain + self.bias
        return x, (mean, std)

    def denormalize(self, y: torch.Tensor, stats: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        mean, std = (s.unsqueeze(-1) for s in stats)
        if self.gain is not None:
            y = (y - self.bias[:, None]) / (self.gain[:, None] + self.eps)
        return y * std + mean


class PatchForecaster(nn.Module):
    def __init__(self, channels: int, context: int, horizon: int, patch: int = 16, stride: int = 8,
                 dim: int = 128, depth: int = 3, heads: int = 8, ff: int = 256, dropout: float = 0.2,
                 head: str = "flatten", num_quantiles: int = 1):
        super().__init__()
        self.patch, self.stride, self.horizon, self.head_kind, self.q = patch, stride, horizon, head, num_quantiles
        self.revin = RevIN(channels)
        self.pad = nn.ReplicationPad1d((0, stride))  # repeat the last value so that no recent step is lost
        self.num_patches = (context + stride - patch) // stride + 1
        self.embed = nn.Linear(patch, dim)
        self.pos = nn.Parameter(torch.randn(1, self.num_patches, dim) * 0.02)
        self.drop = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(dim, heads, ff, dropout, activation="gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, norm=nn.LayerNorm(dim), enable_nested_tensor=False)
        if head not in ("flatten", "pooled"):
            raise ValueError(f"unknown head {head!r}")
        width = dim * self.num_patches if head == "flatten" else dim
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, horizon * num_quantiles))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, _, c = x.shape
        x, stats = self.revin.normalize(x)
        x = self.pad(x.transpose(1, 2)).unfold(-1, self.patch, self.stride)  # B, C, N, patch
        z = self.embed(x.reshape(b * c, self.num_patches, self.patch)) + self.pos
        z = self.encoder(self.drop(z))
        z = z.flatten(1) if self.head_kind == "flatten" else z.mean(dim=1)
        y = self.head(z).view(b, c, self.horizon, self.q).transpose(1, 2)
        return self.revin.denormalize(y, stats)


class DLinear(nn.Module):
    """Moving-average decomposition with one linear map for the trend and one for the remainder."""

    def __init__(self, context: int, horizon: int, kernel: int = 25, num_quantiles: int = 1):
        super().__init__()
        self.horizon, self.q = horizon, num_quantiles
        self.pad = nn.ReplicationPad1d(((kernel - 1) // 2, kernel // 2))
        self.avg = nn.AvgPool1d(kernel, stride=1)
        self.trend = nn.Linear(context, horizon * num_quantiles)
        self.season = nn.Linear(context, horizon * num_quantiles)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, _, c = x.shape
        x = x.transpose(1, 2)
        trend = self.avg(self.pad(x))
        y = self.trend(trend) + self.season(x - trend)
        return y.view(b, c, self.horizon, self.q).transpose(1, 2)


class SeasonalNaive(nn.Module):
    def __init__(self, horizon: int, season: int, num_quantiles: int = 1):
        super().__init__()
        self.horizon, self.season, self.q = horizon, season, num_quantiles

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        repeats = -(-self.horizon // self.season)
        y = x[:, -self.season:].repeat(1, repeats, 1)[:, :self.horizon]
        return y.unsqueeze(-1).expand(-1, -1, -1, self.q)
