"""Runs a program (see program.py) on images."""

import math

import torch
import torch.nn.functional as F
from program import Shape, compose
from torch import nn


def swish(x):
    return x * torch.sigmoid(x)


def level(x, groups, gain, offset):
    """Zero mean and unit variance in each group of channels."""
    b, c = x.shape[:2]
    flat = x.reshape(b * groups, -1)
    flat = flat - flat.mean(1, keepdim=True)
    flat = flat * torch.rsqrt(flat.square().mean(1, keepdim=True) + 1e-5)
    return flat.reshape(x.shape) * gain.reshape(1, c, 1, 1) + offset.reshape(1, c, 1, 1)


def pointwise(x, w, b):
    return torch.einsum("oc,bcyx->boyx", w, x) + b[None, :, None, None]


def phases(tick, unit):
    """(B,) -> (B, unit): cosines and sines of the tick at rates from 1 down to almost 1/10000."""
    n = unit // 2
    rates = 10_000.0 ** -(torch.arange(n, device=tick.device, dtype=torch.float32) / n)
    turn = torch.polar(torch.ones(1, n, device=tick.device), tick[:, None].float() * rates)
    return torch.hstack([turn.real, turn.imag])


class Machine(nn.Module):
    def __init__(self, shape=None):
        super().__init__()
        self.shape = shape or Shape()
        self.ops, bank = compose(self.shape)
        self.names = {name: name.replace(".", "_") for name in bank}
        for name, value in bank.items():
            self.register_parameter(self.names[name], nn.Parameter(value))

    def get(self, name, *leaves):
        return [getattr(self, self.names[f"{name}.{leaf}"]) for leaf in leaves]

    def level(self, x, name):
        return level(x, self.shape.groups, *self.get(name, "g", "o"))

    def conv(self, x, name, **how):
        return F.conv2d(x, *self.get(name, "w", "b"), padding=1, **how)

    def halve(self, x, name, _cond):
        return self.conv(x, name, stride=2)

    def double(self, x, name, _cond):
        b, c, h, w = x.shape
        big = x[:, :, :, None, :, None].expand(b, c, h, 2, w, 2).reshape(b, c, 2 * h, 2 * w)
        return self.conv(big, name)

    def mix(self, x, name, cond):
        w, b = self.get(name + ".film", "w", "b")
        film = torch.addmm(b, cond, w.T).unflatten(1, (2, -1))[..., None, None]
        y = self.conv(swish(self.level(x, name + ".s1")), name + ".c1")
        y = self.level(y, name + ".s2")
        y = swish(y + film[:, 0] * y + film[:, 1])
        y = self.conv(F.dropout(y, self.shape.noise_p, self.training), name + ".c2")
        if name + ".thin.w" in self.names:
            x = pointwise(x, *self.get(name + ".thin", "w", "b"))
        return y + x

    def attend(self, x, name, _cond):
        heads, (b, c, h, w) = self.shape.heads, x.shape
        flat = pointwise(self.level(x, name + ".s3"), *self.get(name + ".qkv", "w", "b"))
        ask, key, val = flat.reshape(b, 3, heads, c // heads, h * w).movedim(1, 0)
        fit = torch.einsum("bhdi,bhdj->bhij", ask, key) / math.sqrt(c // heads)
        weight = torch.exp(fit - torch.logsumexp(fit, -1, keepdim=True))
        moved = torch.einsum("bhij,bhdj->bhdi", weight, val).reshape(x.shape)
        return x + pointwise(moved, *self.get(name + ".o", "w", "b"))

    def forward(self, x, tick, category):
        steps = {"mix": self.mix, "attend": self.attend, "halve": self.halve, "double": self.double}
        steps["conv"] = lambda x, name, _cond: self.conv(x, name)
        (w0, b0), (w1, b1) = self.get("clock.0", "w", "b"), self.get("clock.1", "w", "b")
        cond = swish(phases(tick, self.shape.unit) @ w0.T + b0) @ w1.T + b1
        cond = swish(cond + self.category[category])
        pile = []
        for op in self.ops:
            if op.kind == "join":
                x = torch.hstack([x, pile.pop()])
                continue
            x = steps[op.kind](x, op.name, cond)
            if op.keep:
                pile.append(x)
        return self.conv(swish(self.level(x, "out.s")), "out")
