"""Patch transformer and baselines.

Every model maps (batch, context, channels) to (batch, horizon, channels, outputs),
where outputs is the number of quantiles, or 1 for a point forecast.
"""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RevIN(nn.Module):
    """Reversible instance normalisation over time, with a learned affine map per channel."""

    def __init__(self, channels: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def normalise(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        mean = x.mean(dim=1, keepdim=True).detach()
        std = (x.var(dim=1, keepdim=True, unbiased=False) + self.eps).sqrt().detach()
        return (x - mean) / std * self.weight + self.bias, (mean, std)

    def restore(self, y: Tensor, stats: tuple[Tensor, Tensor]) -> Tensor:
        """y: batch, horizon, channels, outputs"""
        mean, std = (s.unsqueeze(-1) for s in stats)
        y = (y - self.bias[:, None]) / (self.weight[:, None] + self.eps)
        return y * std + mean


class PatchTransformer(nn.Module):
    def __init__(self, channels: int, context: int, horizon: int, outputs: int = 1, patch: int = 16, stride: int = 8,
                 dim: int = 128, heads: int = 8, depth: int = 3, ff: int = 256, dropout: float = 0.2,
                 head: str = "flatten"):
        super().__init__()
        if context < patch:
            raise ValueError("context is shorter than one patch")
        self.horizon, self.outputs, self.patch, self.stride = horizon, outputs, patch, stride
        self.pad = -(context - patch) % stride  # repeat the last value so that no step is left out
        tokens = (context + self.pad - patch) // stride + 1
        self.revin = RevIN(channels)
        self.embed = nn.Linear(patch, dim)
        self.pos = nn.Parameter(torch.randn(1, tokens, dim) * 0.02)
        self.dropout = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(dim, heads, ff, dropout, activation="gelu", batch_first=True,
                                           norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, norm=nn.LayerNorm(dim), enable_nested_tensor=False)
        self.pooled = head == "pooled"
        self.head = nn.Linear(dim if self.pooled else dim * tokens, horizon * outputs)

    def forward(self, x: Tensor) -> Tensor:
        b, _, c = x.shape
        x, stats = self.revin.normalise(x)
        x = x.transpose(1, 2).reshape(b * c, 1, -1)
        x = F.pad(x, (0, self.pad), mode="replicate").squeeze(1)
        x = x.unfold(-1, self.patch, self.stride)  # b * c, tokens, patch
        z = self.encoder(self.dropout(self.embed(x) + self.pos))
        z = z.mean(dim=1) if self.pooled else z.flatten(1)
        y = self.head(self.dropout(z)).reshape(b, c, self.horizon, self.outputs)
        return self.revin.restore(y.transpose(1, 2), stats)


class DLinear(nn.Module):
    """Moving-average trend and remainder, each with one linear map shared by all channels."""

    def __init__(self, context: int, horizon: int, outputs: int = 1, kernel: int = 25):
        super().__init__()
        self.horizon, self.outputs, self.kernel = horizon, outputs, kernel
        self.trend = nn.Linear(context, horizon * outputs)
        self.season = nn.Linear(context, horizon * outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        left = (self.kernel - 1) // 2
        padded = F.pad(x, (left, self.kernel - 1 - left), mode="replicate")
        trend = F.avg_pool1d(padded, self.kernel, stride=1)
        y = self.trend(trend) + self.season(x - trend)
        return y.reshape(*y.shape[:2], self.horizon, self.outputs).transpose(1, 2)


class SeasonalNaive(nn.Module):
    """Repeat the last season; all quantiles coincide."""

    def __init__(self, horizon: int, season: int, outputs: int = 1):
        super().__init__()
        self.horizon, self.season, self.outputs = horizon, season, outputs

    def forward(self, x: Tensor) -> Tensor:
        last = x[:, -self.season:]
        steps = torch.arange(self.horizon, device=x.device) % last.shape[1]
        return last[:, steps].unsqueeze(-1).expand(-1, -1, -1, self.outputs)
