"""The segment attention network and two simple references.

Input is laid out as (examples, lookback, sensors), output as
(examples, lookahead, sensors, levels). A plain forecast has a single level.
"""

from __future__ import annotations

import torch
import torch.nn.functional as fn
from torch import Tensor, nn


class WindowScaler(nn.Module):
    """Takes level and spread out of each window and puts them back; gain and shift are trained per sensor."""

    def __init__(self, sensors: int, tiny: float = 1e-5):
        super().__init__()
        self.tiny = tiny
        self.gain = nn.Parameter(torch.ones(sensors))
        self.shift = nn.Parameter(torch.zeros(sensors))

    def strip(self, past: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        level = past.mean(dim=1, keepdim=True).detach()
        spread = (
            (past.var(dim=1, keepdim=True, unbiased=False) + self.tiny)
            .sqrt()
            .detach()
        )
        return (past - level) / spread * self.gain + self.shift, (level, spread)

    def put_back(self, future: Tensor, removed: tuple[Tensor, Tensor]) -> Tensor:
        """future has the axes examples, lookahead, sensors, levels."""
        level, spread = (r.unsqueeze(-1) for r in removed)
        future = (future - self.shift[:, None]) / (self.gain[:, None] + self.tiny)
        return future * spread + level


class SegmentAttentionNet(nn.Module):
    def __init__(
        self,
        sensors: int,
        lookback: int,
        lookahead: int,
        levels: int = 1,
        segment: int = 16,
        hop: int = 8,
        width: int = 128,
        n_heads: int = 8,
        n_blocks: int = 3,
        hidden: int = 256,
        drop_rate: float = 0.2,
        readout: str = 'concat',
    ):
        super().__init__()
        if lookback < segment:
            raise ValueError('the lookback must hold at least one segment')

        self.lookahead, self.levels, self.segment, self.hop = (
            lookahead,
            levels,
            segment,
            hop,
        )
        # extend the end of the window until the hops cover it completely
        self.extra = -(lookback - segment) % hop
        n_segments = (lookback + self.extra - segment) // hop + 1

        self.scaler = WindowScaler(sensors)
        self.lift = nn.Linear(segment, width)
        self.place = nn.Parameter(torch.randn(1, n_segments, width) * 0.02)
        self.drop = nn.Dropout(drop_rate)
        block = nn.TransformerEncoderLayer(
            width,
            n_heads,
            hidden,
            drop_rate,
            activation='gelu',
            batch_first=True,
            norm_first=True,
        )
        self.blocks = nn.TransformerEncoder(
            block,
            n_blocks,
            norm=nn.LayerNorm(width),
            enable_nested_tensor=False,
        )
        self.averaging = readout == 'average'
        self.readout = nn.Linear(
            width if self.averaging else width * n_segments,
            lookahead * levels,
        )

    def forward(self, past: Tensor) -> Tensor:
        n, _, s = past.shape
        past, removed = self.scaler.strip(past)
        past = past.transpose(1, 2).reshape(n * s, 1, -1)
        past = fn.pad(past, (0, self.extra), mode='replicate').squeeze(1)
        past = past.unfold(-1, self.segment, self.hop)
        hidden = self.blocks(self.drop(self.lift(past) + self.place))
        hidden = hidden.mean(dim=1) if self.averaging else hidden.flatten(1)
        future = self.readout(self.drop(hidden)).reshape(
            n, s, self.lookahead, self.levels
        )
        return self.scaler.put_back(future.transpose(1, 2), removed)


class TwoPartLinearNet(nn.Module):
    """Smooths the window, then extrapolates the smooth part and what is left of it linearly."""

    def __init__(
        self,
        lookback: int,
        lookahead: int,
        levels: int = 1,
        smoothing: int = 25,
    ):
        super().__init__()
        self.lookahead, self.levels, self.smoothing = lookahead, levels, smoothing
        self.slow_map = nn.Linear(lookback, lookahead * levels)
        self.fast_map = nn.Linear(lookback, lookahead * levels)

    def forward(self, past: Tensor) -> Tensor:
        past = past.transpose(1, 2)
        before = (self.smoothing - 1) // 2
        extended = fn.pad(
            past,
            (before, self.smoothing - 1 - before),
            mode='replicate',
        )
        slow = fn.avg_pool1d(extended, self.smoothing, stride=1)
        future = self.slow_map(slow) + self.fast_map(past - slow)
        return future.reshape(
            *future.shape[:2], self.lookahead, self.levels
        ).transpose(1, 2)


class LastCycleNet(nn.Module):
    """Plays the latest cycle again and again, the same for each level."""

    def __init__(self, lookahead: int, cycle: int, levels: int = 1):
        super().__init__()
        self.lookahead, self.cycle, self.levels = lookahead, cycle, levels

    def forward(self, past: Tensor) -> Tensor:
        latest = past[:, -self.cycle:]
        index = torch.arange(self.lookahead, device=past.device) % latest.shape[1]
        return latest[:, index].unsqueeze(-1).expand(-1, -1, -1, self.levels)
