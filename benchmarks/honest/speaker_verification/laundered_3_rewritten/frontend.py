"""Spectral input of the network, computed frame by frame without torch.stft."""
import math
from typing import Tuple

import numpy as np
import torch
from torch.nn import Module
from torch.nn import functional as fn

from clips import HERTZ


def filter_weights(points: int, count: int, band: Tuple[float, float] = (20.0, 7600.0)):
    """(points // 2 + 1, count) weights; each filter is a tent on the mel axis."""
    def warp(hertz):
        return 2595.0 / math.log(10.0) * np.log1p(np.asarray(hertz) / 700.0)

    axis = warp(np.arange(points // 2 + 1) * (HERTZ / points))
    bottom, top = warp(band)
    pitch = (top - bottom) / (count + 1)
    tents = np.empty((axis.size, count))
    for number in range(count):
        corners = bottom + pitch * np.arange(number, number + 3)
        tents[:, number] = np.interp(axis, corners, (0.0, 1.0, 0.0))
    return torch.as_tensor(tents, dtype=torch.float32)


def centred_taper(length: int, points: int):
    """Periodic Hamming taper with zeros on both sides up to the fft size."""
    phase = torch.arange(length, dtype=torch.float64) * (2 * math.pi / length)
    before = (points - length) // 2
    taper = 0.54 - 0.46 * phase.cos()
    return fn.pad(taper, (before, points - length - before)).float()


class Spectrum(Module):
    def __init__(self, points=512, length=400, advance=160, filters=80, lift=0.97):
        super().__init__()
        self.points = points
        self.advance = advance
        self.lift = lift
        for name, table in {
            "taper": centred_taper(length, points),
            "weights": filter_weights(points, filters),
        }.items():
            self.register_buffer(name, table, persistent=False)

    def forward(self, clips):
        clips = clips.detach()
        delayed = fn.pad(clips, (1, 0)).narrow(1, 0, clips.shape[1])
        lifted = torch.add(clips, delayed, alpha=-self.lift)
        border = self.points // 2
        padded = fn.pad(lifted.unsqueeze(1), (border, border), mode="reflect").squeeze(1)
        slices = padded.unfold(1, self.points, self.advance)
        parts = torch.view_as_real(torch.fft.rfft(slices * self.taper))
        energy = torch.einsum("btfr,btfr,fm->bmt", parts, parts, self.weights)
        levels = energy.add(1e-6).log()
        return levels - torch.mean(levels, 2, True)


class Dropouts(Module):
    """Zeroes a few neighbouring frames and a few neighbouring filters while training."""

    def __init__(self, most=((2, 10), (1, 8))):
        super().__init__()
        self.most = most  # (axis, longest run) pairs

    def forward(self, levels):
        if not self.training:
            return levels
        for axis, longest in self.most:
            levels = torch.where(self.run(levels, axis, longest), levels.new_zeros(()), levels)
        return levels

    @staticmethod
    def run(levels, axis, longest):
        extent = levels.shape[axis]
        column = (levels.shape[0], 1)
        run_length = torch.randint(1 + min(extent, longest), column, device=levels.device)
        free = extent - run_length + 1
        offset = torch.rand(column, device=levels.device).mul(free).long()
        distance = torch.arange(extent, device=levels.device) - offset
        inside = distance.ge(0).logical_and(distance.lt(run_length))
        return inside.unsqueeze(3 - axis)
