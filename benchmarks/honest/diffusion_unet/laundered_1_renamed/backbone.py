"""
Backbone of the picture generator: an hourglass of convolutions that is told the time and the class.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import torch as th
import torch.nn as tnn
import torch.nn.functional as fn


@dataclass(frozen=True)
class HourglassSpec:
    planes: int = 3
    side: int = 32
    n_classes: int = 10
    base: int = 64
    growth: tuple[int, ...] = (1, 2, 2, 4)
    repeats: int = 2
    mix_sides: tuple[int, ...] = (16, 8)
    n_heads: int = 4
    n_groups: int = 16
    drop_p: float = 0.1

    @property
    def cond_dim(self) -> int:
        # conditioning is four times as wide as the thinnest layer
        return 4 * self.base


class ClockEncoder(tnn.Module):
    """Encodes when we are in the process."""

    omegas: th.Tensor

    def __init__(self, *, n_out: int, base: int, slowest: float = 10_000.0) -> None:
        super().__init__()
        n_pairs = base // 2
        omegas = th.exp(-math.log(slowest) * th.arange(n_pairs) / n_pairs)
        self.register_buffer('omegas', omegas, persistent=False)
        self.net = tnn.Sequential(
            tnn.Linear(base, n_out),
            tnn.SiLU(),
            tnn.Linear(n_out, n_out),
        )

    def forward(self, clock: th.Tensor) -> th.Tensor:
        phase = clock.float()[:, None] * self.omegas[None, :]
        return self.net(th.cat([phase.cos(), phase.sin()], dim=1))


class ConvUnit(tnn.Module):
    """Norm, conv, conditioned norm, conv, plus a shortcut."""

    def __init__(self, *, spec: HourglassSpec, c_out: int, c_in: int) -> None:
        super().__init__()
        self.pre_norm = tnn.GroupNorm(spec.n_groups, c_in)
        self.pre_conv = tnn.Conv2d(c_in, c_out, padding=1, kernel_size=3)
        self.film = tnn.Linear(spec.cond_dim, 2 * c_out)
        self.post_norm = tnn.GroupNorm(spec.n_groups, c_out)
        self.drop = tnn.Dropout(spec.drop_p)
        self.post_conv = silence(tnn.Conv2d(c_out, c_out, padding=1, kernel_size=3))
        self.shortcut: tnn.Module = tnn.Identity()
        if c_in != c_out:
            self.shortcut = tnn.Conv2d(c_in, c_out, kernel_size=1)

    def forward(self, fmap: th.Tensor, cond: th.Tensor) -> th.Tensor:
        y = self.pre_conv(fn.silu(self.pre_norm(fmap)))
        gain, bias = self.film(fn.silu(cond))[:, :, None, None].chunk(2, dim=1)
        y = self.post_norm(y) * (1.0 + gain) + bias
        y = self.post_conv(self.drop(fn.silu(y)))
        return self.shortcut(fmap) + y


class PixelMixer(tnn.Module):
    """Lets each pixel look at every other pixel."""

    def __init__(self, *, spec: HourglassSpec, width: int) -> None:
        super().__init__()
        self.n_heads = spec.n_heads
        self.pre_norm = tnn.GroupNorm(spec.n_groups, width)
        self.fan_in = tnn.Conv2d(width, 3 * width, kernel_size=1)
        self.fan_out = silence(tnn.Conv2d(width, width, kernel_size=1))

    def forward(self, fmap: th.Tensor) -> th.Tensor:
        n, c, rows, cols = fmap.shape
        per_head = c // self.n_heads
        packed = self.fan_in(self.pre_norm(fmap)).reshape(
            n, 3, self.n_heads, per_head, rows * cols
        )
        asks, keys, vals = packed.transpose(-2, -1).unbind(dim=1)
        blended = fn.scaled_dot_product_attention(asks, keys, vals)
        blended = blended.transpose(-2, -1).reshape(n, c, rows, cols)
        return fmap + self.fan_out(blended)


class Cell(tnn.Module):
    """A conv unit and, at some sizes, a pixel mixer."""

    def __init__(self, *, spec: HourglassSpec, mix: bool, c_out: int, c_in: int) -> None:
        super().__init__()
        self.unit = ConvUnit(spec=spec, c_out=c_out, c_in=c_in)
        self.mixer = PixelMixer(spec=spec, width=c_out) if mix else tnn.Identity()

    def forward(self, fmap: th.Tensor, cond: th.Tensor) -> th.Tensor:
        return self.mixer(self.unit(fmap, cond))


class Shrink(tnn.Conv2d):
    def __init__(self, width: int) -> None:
        super().__init__(width, width, padding=1, stride=2, kernel_size=3)


class Grow(tnn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.smooth = tnn.Conv2d(width, width, padding=1, kernel_size=3)

    def forward(self, fmap: th.Tensor) -> th.Tensor:
        return self.smooth(fn.interpolate(fmap, mode='nearest', scale_factor=2.0))


def silence(conv: tnn.Conv2d) -> tnn.Conv2d:
    # nothing comes out of this conv before training
    tnn.init.zeros_(conv.weight)
    if conv.bias is not None:
        tnn.init.zeros_(conv.bias)
    return conv


class Hourglass(tnn.Module):
    """Noisy picture + clock + class -> velocity. The class after the last one is 'unknown'."""

    def __init__(self, spec: HourglassSpec) -> None:
        super().__init__()
        self.spec = spec
        self.clock = ClockEncoder(n_out=spec.cond_dim, base=spec.base)
        self.classes = tnn.Embedding(spec.n_classes + 1, spec.cond_dim)
        self.entry = tnn.Conv2d(spec.planes, spec.base, padding=1, kernel_size=3)
        sizes = [spec.base * factor for factor in spec.growth]
        ledger = self.lay_descent(sizes)

        deepest = sizes[-1]
        self.core = tnn.ModuleList(
            [
                Cell(spec=spec, mix=True, c_out=deepest, c_in=deepest),
                Cell(spec=spec, mix=False, c_out=deepest, c_in=deepest),
            ]
        )
        self.lay_ascent(sizes, ledger)
        self.exit = tnn.Sequential(
            tnn.GroupNorm(spec.n_groups, sizes[0]),
            tnn.SiLU(),
            silence(tnn.Conv2d(sizes[0], spec.planes, padding=1, kernel_size=3)),
        )

    def mixes(self, floor: int) -> bool:
        return self.spec.side // 2**floor in self.spec.mix_sides

    def lay_descent(self, sizes: list[int]) -> list[int]:
        self.descent = tnn.ModuleList()
        c_now, ledger = self.spec.base, [self.spec.base]
        for floor, size in enumerate(sizes):
            for _ in range(self.spec.repeats):
                mix = self.mixes(floor)
                self.descent.append(Cell(spec=self.spec, mix=mix, c_out=size, c_in=c_now))
                c_now = size
                ledger.append(c_now)
            if floor < len(sizes) - 1:
                self.descent.append(Shrink(c_now))
                ledger.append(c_now)
        return ledger

    def lay_ascent(self, sizes: list[int], ledger: list[int]) -> None:
        self.ascent = tnn.ModuleList()
        c_now, stack = sizes[-1], list(ledger)
        for floor, size in reversed(list(enumerate(sizes))):
            for _ in range(self.spec.repeats + 1):
                c_in = c_now + stack.pop()
                mix = self.mixes(floor)
                self.ascent.append(Cell(spec=self.spec, mix=mix, c_out=size, c_in=c_in))
                c_now = size
            if floor > 0:
                self.ascent.append(Grow(c_now))

    def forward(self, fmap: th.Tensor, clock: th.Tensor, classes: th.Tensor) -> th.Tensor:
        cond = self.clock(clock) + self.classes(classes)
        fmap = self.entry(fmap)
        kept = [fmap]
        for piece in self.descent:
            fmap = piece(fmap, cond) if isinstance(piece, Cell) else piece(fmap)
            kept.append(fmap)
        for cell in self.core:
            fmap = cell(fmap, cond)
        for piece in self.ascent:
            fmap = (
                piece(th.cat([fmap, kept.pop()], dim=1), cond)
                if isinstance(piece, Cell)
                else piece(fmap)
            )
        return self.exit(fmap)
