"""Runs a program over bytes (N, H, W, C), in either direction."""
import math

import torch

from verbs import AHEAD, BACK, set_level

RIM = 0.05
ROOM = 1 - 2 * RIM


def enter(spec, raw, noisy):
    """Bytes to real numbers, with the log-probability that costs."""
    coarse = (raw >> (8 - spec.bits)).float()
    spot = torch.rand(coarse.shape, device=raw.device) if noisy else 0.5
    unit = (coarse + spot) * 2.0 ** -spec.bits
    fee = -spec.bits * math.log(2) * spec.numbers_per_image
    if spec.odds:
        p = RIM + ROOM * unit
        q = 1 - p
        return (p / q).log(), fee + (ROOM / (p * q)).log().sum((1, 2, 3))
    return unit - 0.5, torch.full(raw.shape[:1], fee, device=raw.device)


def leave(spec, real):
    unit = (1 / (1 + (-real).exp()) - RIM) / ROOM if spec.odds else real + 0.5
    top = (1 << spec.bits) - 1
    coarse = (unit * (top + 1)).clamp(0, top).to(torch.uint8)
    return coarse << (8 - spec.bits)


def dissolve(spec, memory, raw, noisy=True, levelling=False):
    """(list of noise arrays, log-probability of each image in nats).

    With levelling, every level instruction is first set from the batch that reaches it.
    """
    x, total = enter(spec, raw, noisy)
    taps = []
    for (verb, _), cell in zip(spec.program(), memory):
        if levelling and verb == "level":
            set_level(cell, x)
        x, gained = AHEAD[verb](cell, x, taps)
        total = total + gained
    return taps, total


@torch.no_grad()
def condense(spec, memory, taps):
    x, taps = None, list(taps)
    for (verb, _), cell in reversed(list(zip(spec.program(), memory))):
        x = BACK[verb](cell, x, taps)
    return leave(spec, x)


def cost(spec, memory, raw):
    """Bits that each number of an image takes."""
    nats = dissolve(spec, memory, raw)[1]
    return nats / (-math.log(2) * spec.numbers_per_image)


def invent(spec, memory, amount, heat=0.7):
    device = memory[-1]["offset"].device
    taps = [heat * torch.randn((amount, *size), device=device) for size in spec.noise_sizes()]
    return condense(spec, memory, taps)


@torch.no_grad()
def travel(spec, memory, here, there, stops=8):
    ends = dissolve(spec, memory, torch.stack((here, there)), noisy=False)[0]
    share = torch.linspace(0, 1, stops, device=here.device)
    shares = torch.stack((1 - share, share), dim=1)
    return condense(spec, memory, [torch.tensordot(shares, e, dims=1) for e in ends])
