"""Audio stream -> standardised log-energy stream, by two fixed linear maps."""

import numpy as np
import torch
from stream import Stream
from torch import nn

EAR = {
    "hz": 16_000,
    "slice_ms": 25,
    "advance_ms": 10,
    "channels": 80,
    "span_hz": (20.0, 7_600.0),
    "tilt": 0.97,
    "floor": 1e-10,
    "soft": 1e-5,
}


def warp(hz):
    return 1127.0 * np.log1p(np.asarray(hz) / 700.0)


def unwarp(x):
    return 700.0 * np.expm1(np.asarray(x) / 1127.0)


def oscillators(slice_len, period):
    """Hann-tapered cosines and sines, (2 * (period / 2 + 1), slice_len)."""
    n = np.arange(slice_len)
    taper = 0.5 * (1 - np.cos(2 * np.pi * n / slice_len))
    turn = 2 * np.pi / period * np.outer(np.arange(period // 2 + 1), n)
    return np.concatenate([np.cos(turn), np.sin(turn)]) * taper


def roof(period, ear):
    """(channels, period / 2 + 1): every bin is shared between the two peaks on its sides."""
    n = ear["channels"]
    peaks = unwarp(np.linspace(*warp(ear["span_hz"]), n + 2))
    bins = np.linspace(0, ear["hz"] / 2, period // 2 + 1)
    right = np.searchsorted(peaks, bins)
    inside = np.flatnonzero((right > 0) & (right < n + 2))
    right = right[inside]
    share = (bins[inside] - peaks[right - 1]) / (peaks[right] - peaks[right - 1])
    weight = np.zeros((n + 2, len(bins)))
    weight[right, inside] = share
    weight[right - 1, inside] = 1 - share
    return weight[1:-1]  # the outermost peaks belong to no channel


class Ear(nn.Module):
    def __init__(self, **changes):
        super().__init__()
        self.ear = {**EAR, **changes}
        self.slice_len = self.ear["hz"] * self.ear["slice_ms"] // 1000
        self.advance = self.ear["hz"] * self.ear["advance_ms"] // 1000
        period = 2 ** int(np.ceil(np.log2(self.slice_len)))
        bank = torch.from_numpy(oscillators(self.slice_len, period)).float().unsqueeze(1)
        self.register_buffer("bank", bank, persistent=False)
        self.register_buffer("roof", torch.from_numpy(roof(period, self.ear)).float(), persistent=False)
        self.register_buffer("tilt", torch.tensor([[[-self.ear["tilt"], 1.0]]]), persistent=False)

    @torch.no_grad()
    def forward(self, audio):
        tilted = torch.conv1d(nn.functional.pad(audio.data, (1, 0)), self.tilt)
        swing = torch.conv1d(tilted, self.bank, stride=self.advance)
        energy = swing.pow(2).unflatten(1, (2, -1)).sum(1)
        level = torch.einsum("mf,bft->bmt", self.roof, energy).clamp_min(self.ear["floor"]).log()

        out = Stream(level, (audio.extent - self.slice_len + self.advance) // self.advance)
        weight = out.live / out.extent.view(-1, 1, 1)  # sums to one over an item
        level = level - torch.einsum("bmt,bit->bmi", level, weight)
        spread = torch.einsum("bmt,bmt,bit->bmi", level, level, weight).sqrt()
        return out._replace(data=level / (spread + self.ear["soft"])).silence()


class Blindfold(nn.Module):
    """While training, hides stripes: (count, widest) per axis; a widest below one is a share of the item."""

    def __init__(self, ticks=(5, 0.05), channels=(2, 27)):
        super().__init__()
        self.ticks, self.channels = ticks, channels

    @staticmethod
    def stripes(count, widest, room, places):
        """Union of `count` random stripes, (items, places), as zeros in ones."""
        widest = room * widest if widest < 1 else torch.full_like(room, widest)
        u, v = torch.rand(2, count, len(room), device=room.device)
        size = u * widest
        begin = v * torch.relu(room - size)
        edges = torch.stack([begin, begin + size], -1).floor().unsqueeze(-2)
        at = torch.arange(places, device=room.device).unsqueeze(-1)
        # between its edges a place has passed exactly one of them
        return ((at >= edges).sum(-1) != 1).all(0)

    def forward(self, s):
        if self.training:
            items, channels, ticks = s.data.shape
            open_t = self.stripes(*self.ticks, s.extent.to(s.data), ticks)
            open_c = self.stripes(*self.channels, s.data.new_full((items,), channels), channels)
            s = s._replace(data=torch.einsum("bct,bt,bc->bct", s.data, open_t.float(), open_c.float()))
        return s
