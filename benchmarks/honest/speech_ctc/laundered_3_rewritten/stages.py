"""Stages map a Stream to a Stream; a transcriber is a chain of them."""

from itertools import chain

import torch
from ear import Blindfold, Ear
from stream import ChannelNorm, Stream, pointwise
from torch import nn


class Shrink(nn.Module):
    """Four ticks become one."""

    def __init__(self, rows, channels):
        super().__init__()
        self.kernels = nn.ModuleList(nn.Conv2d(c, channels, 3, 2, 1) for c in (1, channels))
        self.fold = pointwise(channels * -(-rows // 4), channels)

    def forward(self, s):
        plane, extent = s.data.unsqueeze(1).mT, s.extent  # (items, 1, ticks, rows)
        for kernel in self.kernels:
            plane, extent = torch.clamp_min(kernel(plane), 0), -(-extent // 2)
            plane = plane * Stream(plane[:, 0].mT, extent).live.mT.unsqueeze(1)
        return Stream(self.fold(plane.mT.flatten(1, 2)), extent)


class Branch(nn.Module):
    """s + share * drop(out(inner(norm(s)))): the form that all parts of a layer have."""

    share = 1.0

    def __init__(self, channels, hidden, drop):
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.out = pointwise(hidden, channels)
        self.drop = nn.Dropout(drop)

    def inner(self, x, s):
        raise NotImplementedError

    def forward(self, s):
        change = self.drop(self.out(self.inner(self.norm(s.data), s)))
        return s._replace(data=torch.add(s.data, change, alpha=self.share))


class Think(Branch):
    share = 0.5

    def __init__(self, channels, drop, widen=4):
        super().__init__(channels, channels * widen, drop)
        self.up = pointwise(channels, channels * widen)

    def inner(self, x, s):
        x = self.up(x)
        return self.drop(x / (1 + torch.exp(-x)))


class Listen(Branch):
    """Attention; what a tick looks for may depend on how far away it is, up to `horizon` ticks."""

    def __init__(self, channels, drop, heads=4, horizon=128):
        super().__init__(channels, channels, drop)
        self.heads, self.horizon, self.size = heads, horizon, channels // heads
        self.mix = pointwise(channels, 3 * channels)
        self.far = nn.Parameter(torch.randn(2 * horizon + 1, self.size))
        self.lean = nn.Parameter(torch.zeros(heads, self.size))

    def ruler(self, ticks):
        """(ticks, ticks, size): entry [i, j] stands for a source j - i ticks later."""
        line = torch.arange(1 - ticks, ticks, device=self.far.device).clamp(-self.horizon, self.horizon)
        rows = self.far[line + self.horizon]  # every distance once
        return rows.unfold(0, ticks, 1).flip(0).mT

    def inner(self, x, s):
        seek, offer, carry = self.mix(x).unflatten(1, (3, self.heads, self.size)).unbind(1)
        near = torch.einsum("bhci,bhcj->bhij", seek, offer)
        far = torch.einsum("bhci,ijc->bhij", seek + self.lean.unsqueeze(-1), self.ruler(x.shape[-1]))
        score = (near + far) / self.size**0.5
        score = score.masked_fill(s.live.unsqueeze(1) == 0, torch.finfo(score.dtype).min)
        share = (score - score.logsumexp(-1, keepdim=True)).exp()
        return torch.einsum("bhij,bhcj->bhci", self.drop(share), carry).flatten(1, 2)


class Blend(Branch):
    """Mixes each channel over neighbouring ticks."""

    def __init__(self, channels, drop, reach=15):
        super().__init__(channels, channels, drop)
        self.reach = reach
        self.entry = pointwise(channels, channels)
        self.door = pointwise(channels, channels)
        self.taps = nn.Parameter(torch.randn(channels, 2 * reach + 1) / (2 * reach + 1) ** 0.5)
        self.rest = nn.Parameter(torch.zeros(channels, 1))
        self.settle = ChannelNorm(channels)

    def inner(self, x, s):
        x = self.entry(x) * torch.sigmoid(self.door(x)) * s.live
        windows = nn.functional.pad(x, (self.reach, self.reach)).unfold(2, 2 * self.reach + 1, 1)
        x = self.settle(torch.einsum("bctk,ck->bct", windows, self.taps) + self.rest)
        return x * torch.sigmoid(x)


class Settle(ChannelNorm):
    def forward(self, s):
        return s._replace(data=super().forward(s.data))


class Transcriber(nn.Sequential):
    def __init__(self, symbols=32, channels=256, layers=12, drop=0.1, **listen):
        ear = Ear()
        body = chain.from_iterable(
            (
                Think(channels, drop),
                Listen(channels, drop, **listen),
                Blend(channels, drop),
                Think(channels, drop),
                Settle(channels),
            )
            for _ in range(layers)
        )
        super().__init__(ear, Blindfold(), Shrink(ear.ear["channels"], channels), *body)
        self.spell = nn.Parameter(torch.empty(symbols, channels).uniform_(-1, 1) / channels**0.5)
        self.habit = nn.Parameter(torch.zeros(symbols, 1))

    def forward(self, audio):
        s = super().forward(audio)
        logits = self.spell @ s.data + self.habit
        return s._replace(data=logits - logits.logsumexp(1, keepdim=True))

    def surprise(self, audio, texts):
        """Mean over items of the CTC loss per symbol; impossible items count as zero."""
        s = self(audio)
        sizes = torch.tensor([len(t) for t in texts])
        cost = nn.functional.ctc_loss(
            s.data.permute(2, 0, 1), torch.cat(texts), s.extent, sizes, reduction="none", zero_infinity=True
        )
        return (cost / sizes.clamp_min(1).to(cost)).mean()
