"""Where on the page a patch lies, as waves.

Neighbouring tiles overlap, so a table of positions per tile would give the same ink two places. Waves
over page coordinates give it one, whatever the tile.
"""

import math

import torch


def patch_centres(spots, per_side):
    """Page coordinates of the centres of per_side x per_side patches.

    spots: (pictures, 4) left, top, right, bottom. Returns (pictures, per_side * per_side, 2), row by row.
    """
    ticks = (torch.arange(per_side, device=spots.device, dtype=spots.dtype) + 0.5) / per_side
    xs = spots[:, 0:1] + (spots[:, 2:3] - spots[:, 0:1]) * ticks
    ys = spots[:, 1:2] + (spots[:, 3:4] - spots[:, 1:2]) * ticks
    xs = xs.unsqueeze(1).expand(-1, per_side, -1)
    ys = ys.unsqueeze(2).expand(-1, -1, per_side)
    return torch.stack([xs, ys], dim=-1).flatten(1, 2)


def waves(coordinate, count, longest, shortest):
    """`count` sines and `count` cosines of falling wavelength; the short ones are the quieter."""
    steps = torch.arange(count, device=coordinate.device, dtype=torch.float32) / max(count - 1, 1)
    wavelength = longest * (shortest / longest) ** steps
    loudness = (wavelength / longest) ** 0.25
    phase = 2.0 * math.pi * coordinate.float().unsqueeze(-1) / wavelength
    return torch.cat([loudness * torch.sin(phase), loudness * torch.cos(phase)], dim=-1)


def wavefield(centres, width, longest=2.0, shortest=0.011):
    """(..., 2) page coordinates to (..., width): three parts in eight across, three down, two along the
    falling diagonal, which tells a table's cell from its row and column heads."""
    if width % 16:
        raise ValueError(f"wavefield needs a width that is a multiple of 16, not {width}")
    part = width // 16
    across = centres[..., 0]
    down = centres[..., 1]
    diagonal = (across + down) / math.sqrt(2.0)
    return torch.cat(
        [
            waves(across, 3 * part, longest, shortest),
            waves(down, 3 * part, longest, shortest),
            waves(diagonal, 2 * part, longest, shortest),
        ],
        dim=-1,
    )
