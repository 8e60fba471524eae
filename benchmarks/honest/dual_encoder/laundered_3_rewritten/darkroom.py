"""Develops prints from negatives: every print is left @ picture @ right, one affine colour map, one fold of the bright end.

Chance comes as a table of dice, one row for each picture, one column for each decision.
"""

import math

import torch

BRIGHTNESS = torch.tensor([0.299, 0.587, 0.114])
CHROMA = torch.tensor([[0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
DECISIONS = "share shape across down light punch colour turn tinted folded fold mirrored".split()


def hat_matrix(start, stop, source, size):
    """(M, size, source) weights of linear interpolation at the cell middles of [start, stop], in shares of the side."""
    middles = (torch.arange(size, device=start.device) + 0.5) / size
    along = torch.lerp(start[:, None], stop[:, None], middles) * source - 0.5
    away = along.clamp(0, source - 1)[..., None] - torch.arange(source, device=start.device)
    return (1 - away.abs()).clamp(min=0)


def enlarge(pictures, left, right, top, bottom, size):
    height, width = pictures.shape[2:]
    rows = hat_matrix(top, bottom, height, size)
    columns = hat_matrix(left, right, width, size)
    return rows[:, None] @ pictures @ columns.transpose(1, 2)[:, None]


def plain_print(pictures, size):
    """Without chance: the middle, cut to a square."""
    height, width = pictures.shape[2:]
    inset = pictures.new_tensor([width, height]).sub(min(height, width)).div(2)
    inset = (inset / inset.new_tensor([width, height])).expand(len(pictures), 2)
    left, top = inset.unbind(1)
    return enlarge(pictures, left, 1 - left, top, 1 - top, size)


def colour_map(pictures, die):
    """Matrix (M, 3, 3) and shift (M, 3) that light, punch, colour and turn amount to."""
    swing = {name: 0.7 + 0.6 * die[name] for name in ("light", "punch", "colour")}
    angle = (die["turn"] - 0.5) * 0.2 * math.pi  # a twentieth of the circle to either side

    brightness, chroma = BRIGHTNESS.to(pictures), CHROMA.to(pictures)
    back = torch.linalg.inv(torch.cat([brightness[None], chroma]))
    real, imaginary = torch.view_as_real(torch.polar(swing["colour"], angle)).unbind(1)
    turned = torch.stack([real, -imaginary, imaginary, real], 1).view(-1, 2, 2)
    matrix = back[:, :1] @ brightness[None] + back[:, 1:] @ turned @ chroma

    grey = pictures.mean(dim=(2, 3)) @ brightness * swing["light"]
    gain = swing["light"] * swing["punch"]
    return matrix * gain[:, None, None], ((1 - swing["punch"]) * grey)[:, None] * matrix.sum(2)


def chance_print(pictures, size, may_mirror=False):
    """A part, recoloured four times in five, folded once in ten; mirrored only where words cannot tell."""
    height, width = pictures.shape[2:]
    die = dict(zip(DECISIONS, torch.rand(len(DECISIONS), len(pictures), device=pictures.device)))
    share = 0.4 + 0.6 * die["share"]
    shape = (4 / 3) ** (2 * die["shape"] - 1) * height / width
    span_x, span_y = ((share * tilt).sqrt().clamp(max=1) for tilt in (shape, 1 / shape))
    left, top = (1 - span_x) * die["across"], (1 - span_y) * die["down"]
    right, bottom = left + span_x, top + span_y
    if may_mirror:
        mirrored = die["mirrored"] < 0.5
        left, right = torch.where(mirrored, right, left), torch.where(mirrored, left, right)
    prints = enlarge(pictures, left, right, top, bottom, size)

    matrix, shift = colour_map(prints, die)
    tinted = (die["tinted"] < 0.8)[:, None]
    matrix = torch.where(tinted[..., None], matrix, torch.eye(3).to(matrix))
    shift = torch.where(tinted, shift, 0.0)
    prints = torch.baddbmm(shift[..., None], matrix, prints.flatten(2)).unflatten(2, (size, size)).clamp(0, 1)

    crease = torch.where(die["folded"] < 0.1, 0.4 + 0.4 * die["fold"], 2.0)[:, None, None, None]
    return (prints - (prints >= crease).to(prints)).abs()
