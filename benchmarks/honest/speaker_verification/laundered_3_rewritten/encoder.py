"""Network from spectral levels to a fixed-size voice print."""
from collections import OrderedDict
from functools import reduce
from itertools import accumulate
from operator import add

import torch
from torch.nn import BatchNorm1d, Conv1d, Linear, Module, ModuleList, ReLU, Sequential, Sigmoid
from torch.nn import functional as fn

PRINT_SIZE = 192


def stacked(**layers):
    return Sequential(OrderedDict(layers))


def filtered(source, target, reach=0, stride_in_time=1):
    """Convolution over 2 * reach + 1 frames, rectified and then normalised."""
    return stacked(
        conv=Conv1d(source, target, 2 * reach + 1, padding="same", dilation=stride_in_time),
        act=ReLU(),
        norm=BatchNorm1d(target),
    )


class Ladder(Module):
    """All parts but the first are filtered in turn, each on top of the preceding result."""

    def __init__(self, size, reach, stride_in_time, parts=8):
        super().__init__()
        if size != parts * (size // parts):
            raise ValueError(f"cannot make {parts} equal parts of {size} channels")
        part = size // parts
        self.rungs = ModuleList([filtered(part, part, reach, stride_in_time) for _ in range(1, parts)])

    def forward(self, signal):
        untouched, *todo = signal.unflatten(1, (len(self.rungs) + 1, -1)).unbind(1)
        climb = accumulate(zip(self.rungs, todo), lambda below, rung: rung[0](rung[1] + below),
                           initial=0)
        next(climb)
        return torch.cat((untouched, *climb), dim=1)


class Volume(Module):
    """Scales every channel by a factor that depends on all channel averages."""

    def __init__(self, size, squeezed=128):
        super().__init__()
        self.knob = stacked(
            narrow=Conv1d(size, squeezed, 1), act=ReLU(),
            widen=Conv1d(squeezed, size, 1), limit=Sigmoid(),
        )

    def forward(self, signal):
        return signal * self.knob(fn.adaptive_avg_pool1d(signal, 1))


def floor_root(variance):
    return torch.maximum(variance, variance.new_tensor(1e-6)).sqrt()


class Summary(Module):
    """Attention pooling into mean and deviation.

    The attention input is (frame, clip mean, clip deviation). The clip part is the same for
    every frame, so its product with the weights is taken once and broadcast.
    """

    def __init__(self, size, inner=128):
        super().__init__()
        self.size = size
        self.mix = Linear(3 * size, inner)
        self.norm = BatchNorm1d(inner)
        self.focus = Linear(inner, size)

    def attention(self, signal):
        variance, mean = torch.var_mean(signal, dim=2, unbiased=False)
        clip = torch.hstack((mean, floor_root(variance)))
        for_frame, for_clip = self.mix.weight.tensor_split((self.size,), dim=1)
        mixed = torch.einsum("ic,bct->bit", for_frame, signal)
        mixed = mixed + fn.linear(clip, for_clip, self.mix.bias).unsqueeze(-1)
        squashed = self.norm(mixed.relu()).tanh()
        return self.focus(squashed.mT).softmax(dim=1).mT

    def forward(self, signal):
        share = self.attention(signal)
        mean = torch.einsum("bct,bct->bc", share, signal)
        offset = signal - mean.unsqueeze(-1)
        variance = torch.einsum("bct,bct,bct->bc", share, offset, offset)
        return torch.hstack((mean, floor_root(variance)))


class VoicePrint(Module):
    def __init__(self, filters=80, size=512, print_size=PRINT_SIZE, strides=(2, 3, 4)):
        super().__init__()
        wide = 1536
        self.first = filtered(filters, size, reach=2)
        self.residuals = ModuleList(map(lambda stride: stacked(
            before=filtered(size, size),
            ladder=Ladder(size, 1, stride),
            after=filtered(size, size),
            volume=Volume(size),
        ), strides))
        self.join = Conv1d(size * len(strides), wide, 1)
        self.summary = Summary(wide)
        self.out = stacked(pre=BatchNorm1d(2 * wide), dense=Linear(2 * wide, print_size),
                           post=BatchNorm1d(print_size))

    def forward(self, levels):
        # history[0] is the first layer; every later entry saw the sum of the ones before it
        history = [self.first(levels)]
        while len(history) <= len(self.residuals):
            everything = reduce(add, history)
            residual = self.residuals[len(history) - 1]
            history.append(residual(everything).add(everything))
        joined = self.join(torch.hstack(history[1:]))
        return self.out(self.summary(joined.relu()))
