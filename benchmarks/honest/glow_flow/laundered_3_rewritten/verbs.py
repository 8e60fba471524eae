"""What each instruction does to images laid out (N, H, W, C).

AHEAD[verb](cell, x, taps) -> (x, gain in log-probability); noise that leaves is put on taps.
BACK[verb](cell, x, taps) -> x; noise comes back off the end of taps.
"""
import torch
import torch.nn.functional as F
from torch.distributions import Independent, Normal

import algebra

AHEAD, BACK = {}, {}


def verb(table):
    def enter(function):
        table[function.__name__.split("_", 1)[1]] = function
        return function
    return enter


def area(x):
    return x.shape[1] * x.shape[2]


def halves(x):
    middle = x.shape[-1] // 2
    return x[..., :middle], x[..., middle:]


def filtered(x, kernel, offset):
    return F.conv2d(x.movedim(3, 1), kernel, offset, padding="same").movedim(1, 3)


def amplified(cell, x):
    return filtered(x, cell["kernel"], cell["offset"]) * cell["volume"].exp() ** 3


@verb(AHEAD)
def ahead_fold(cell, x, taps):
    corners = [x[:, down::2, right::2] for down in (0, 1) for right in (0, 1)]
    return torch.stack(corners, dim=-1).flatten(3), 0.0


@verb(BACK)
def back_fold(cell, x, taps):
    n, h, w, c = x.shape
    out = x.new_empty(n, 2 * h, 2 * w, c // 4)
    for k in range(4):
        out[:, k // 2::2, k % 2::2] = x[..., k::4]
    return out


@torch.no_grad()
def set_level(cell, x):
    """Make what leaves this instruction have mean nought and spread one in each channel."""
    flat = x.reshape(-1, x.shape[-1])
    middle = flat.mean(0)
    spread = ((flat - middle).square().sum(0) / (len(flat) - 1)).sqrt()
    cell["centre"].copy_(-middle)
    cell["gain"].copy_((spread + 1e-6).reciprocal().log())


@verb(AHEAD)
def ahead_level(cell, x, taps):
    return (x + cell["centre"]) * cell["gain"].exp(), area(x) * cell["gain"].sum()


@verb(BACK)
def back_level(cell, x, taps):
    return torch.addcmul(-cell["centre"], x, (-cell["gain"]).exp())


@verb(AHEAD)
def ahead_turn_packed(cell, x, taps):
    return x @ algebra.rebuild(**cell).T, area(x) * cell["packed"].trace()


@verb(BACK)
def back_turn_packed(cell, x, taps):
    return algebra.unmix(**cell, vectors=x)


@verb(AHEAD)
def ahead_turn_dense(cell, x, taps):
    stretch = torch.linalg.svdvals(cell["dense"]).log().sum()
    return x @ cell["dense"].T, area(x) * stretch


@verb(BACK)
def back_turn_dense(cell, x, taps):
    return torch.linalg.solve(cell["dense"].T, x, left=False)


def pushes(cell, held):
    inner = filtered(held, cell["in_kernel"], cell["in_offset"]).clamp(min=0)
    inner = filtered(inner, cell["mid_kernel"], cell["mid_offset"]).clamp(min=0)
    steepness, distance = halves(amplified(cell, inner))
    return 4 * steepness.sigmoid() - 2, distance  # a log-factor between -2 and 2


@verb(AHEAD)
def ahead_push(cell, x, taps):
    held, free = halves(x)
    factor, distance = pushes(cell, held)
    gained = factor.sum((1, 2, 3))
    return torch.cat([held, (free + distance) * factor.exp()], -1), gained


@verb(BACK)
def back_push(cell, x, taps):
    held, free = halves(x)
    factor, distance = pushes(cell, held)
    return torch.cat([held, free * (-factor).exp() - distance], -1)


def bell(numbers):
    centre, log_spread = halves(numbers)
    return Independent(Normal(centre, log_spread.exp(), validate_args=False), 3,
                       validate_args=False)


def measured(curve, x, taps):
    taps.append((x - curve.base_dist.loc) / curve.base_dist.scale)
    return curve.log_prob(x)


def restored(curve, taps):
    return curve.base_dist.loc + curve.base_dist.scale * taps.pop()


@verb(AHEAD)
def ahead_tap(cell, x, taps):
    staying, leaving = halves(x)
    return staying, measured(bell(amplified(cell, staying)), leaving, taps)


@verb(BACK)
def back_tap(cell, x, taps):
    return torch.cat([x, restored(bell(amplified(cell, x)), taps)], -1)


def free_bell(cell, like):
    numbers = cell["offset"] * cell["volume"].exp() ** 3
    return bell(numbers.expand(*like.shape[:3], -1))


@verb(AHEAD)
def ahead_drain(cell, x, taps):
    return None, measured(free_bell(cell, x), x, taps)


@verb(BACK)
def back_drain(cell, x, taps):
    return restored(free_bell(cell, taps[-1]), taps)
