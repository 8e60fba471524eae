"""The process as a rotation: an image and its noise are the two legs of an angle that grows with time.

At angle p, the noisy image is cos(p) * image + sin(p) * noise, and the velocity is its derivative.
"""

import math

import numpy as np
import torch

TICKS, SETBACK, CEILING, BLIND = 1000, 0.008, 0.999, 0.1


def angles(ticks=TICKS):
    """Angles of the ticks 0 .. ticks - 1, then 0 for the tick -1 (the clean image)."""
    u = (np.arange(ticks + 1) / ticks + SETBACK) / (1 + SETBACK)
    curve = np.cos(u * math.pi / 2) ** 2
    lost = np.minimum(1 - curve[1:] / curve[:-1], CEILING)
    log_kept = np.cumsum(np.log1p(-lost))
    table = np.arctan2(np.sqrt(-np.expm1(log_kept)), np.exp(log_kept / 2))
    return torch.from_numpy(np.append(table, 0.0))


def legs(tick, table):
    angle = table[tick].reshape(-1, 1, 1, 1)  # tick -1 is the last entry
    return torch.cos(angle).float(), torch.sin(angle).float()


def regret(machine, image, category, table):
    """The training objective."""
    count = len(image)
    tick = torch.randint(len(table) - 1, (count,))
    noise = torch.randn(image.shape)
    c, s = legs(tick, table)
    blind = torch.rand(count).lt(BLIND)
    category = torch.where(blind, machine.shape.categories, category)
    guess = machine(c * image + s * noise, tick, category)
    return (guess + s * image - c * noise).square().mean()


def steer(machine, image, tick, category, force):
    """Velocity; with force other than 1, away from what would be said without a category."""
    if force == 1.0:
        return machine(image, tick, category)
    nobody = torch.full_like(category, machine.shape.categories)
    pair = torch.stack([nobody, category]).flatten()
    guess = machine(torch.vstack([image, image]), torch.hstack([tick, tick]), pair)
    plain, informed = guess.unflatten(0, (2, -1))
    return (1 - force) * plain + force * informed


def walk(machine, category, table, steps=50, force=2.0, jitter=0.0, bounded=True):
    """Yield one image tensor per step, the last of which is the result."""
    shape = machine.shape
    stops = torch.linspace(len(table) - 2, -1, steps + 1).round().long()
    image = torch.randn(len(category), shape.colours, shape.pixels, shape.pixels)
    for k in range(steps):
        here, there = stops[k : k + 2, None].expand(2, len(category))
        with torch.no_grad():
            velocity = steer(machine, image, here, category, force)
        c, s = legs(here, table)
        c2, s2 = legs(there, table)
        clean = c * image - s * velocity
        clean = clean.clip(-1, 1) if bounded else clean
        noise = (image - c * clean) / s
        spread = jitter * (s2 / s) * (1 - (c / c2) ** 2).clip(0) ** 0.5
        rest = (s2 * s2 - spread * spread).clip(0) ** 0.5
        image = c2 * clean + rest * noise + spread * torch.randn(image.shape)
        yield image


def paint(machine, category, table, **how):
    *_, image = walk(machine, category, table, **how)
    return image.clip(-1, 1)
