"""Photometric and geometric distortions on the accelerator, drawn separately for each picture of a stack."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

GREY_WEIGHTS = (0.299, 0.587, 0.114)
# first row brightness, the other two rows colour
TO_CHROMA = torch.tensor(
    [
        GREY_WEIGHTS,
        (0.5959, -0.2746, -0.3213),
        (0.2115, -0.5227, 0.3112),
    ]
)


@dataclass(frozen=True)
class DistortOptions:
    side: int = 112
    scale_range: tuple = (0.4, 1.0)
    stretch: float = 4 / 3
    light: float = 0.3
    gamma: float = 0.3
    vivid: float = 0.3
    tint: float = 0.05  # share of the colour circle
    p_colour: float = 0.8
    p_invert: float = 0.1
    mirror: bool = False  # off, since a caption may name a side


def draw(count, low, high, like):
    return torch.empty(count, device=like.device).uniform_(low, high)


def sample_window(pictures, window, side):
    """Cut a window out of each picture (middle x, middle y, half width, half height) and scale it to side x side."""
    steps = (torch.arange(side, device=pictures.device) + 0.5) * 2 / side - 1
    mid_x, mid_y, half_x, half_y = (column[:, None] for column in window.unbind(1))
    xs, ys = mid_x + half_x * steps, mid_y + half_y * steps
    points = torch.stack(
        [
            xs[:, None, :].expand(-1, side, -1),
            ys[:, :, None].expand(-1, -1, side),
        ],
        -1,
    )
    return F.grid_sample(
        pictures,
        points,
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )


def zoom_somewhere(pictures, options):
    count, _, height, width = pictures.shape
    share = draw(count, *options.scale_range, pictures)
    # even in the logarithm; the last factors turn pixels into picture widths
    proportion = options.stretch ** draw(count, -1, 1, pictures) * height / width
    half_x = (share * proportion).sqrt().clamp(max=1)
    half_y = (share / proportion).sqrt().clamp(max=1)
    mid_x = (1 - half_x) * draw(count, -1, 1, pictures)
    mid_y = (1 - half_y) * draw(count, -1, 1, pictures)
    return sample_window(
        pictures,
        torch.stack([mid_x, mid_y, half_x, half_y], 1),
        options.side,
    )


def tint_transform(options, count, like):
    """One RGB-to-RGB matrix for each picture that turns its hue and stretches its saturation."""
    strength = draw(count, 1 - options.vivid, 1 + options.vivid, like)
    angle = 2 * torch.pi * draw(count, -options.tint, options.tint, like)
    turn = torch.zeros(count, 3, 3, device=like.device)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = strength * angle.cos()
    turn[:, 2, 1] = strength * angle.sin()
    turn[:, 1, 2] = -turn[:, 2, 1]
    basis = TO_CHROMA.to(like.device)
    return torch.einsum(
        "ij,bjk,kl->bil",
        torch.linalg.inv(basis),
        turn,
        basis,
    )


def recolour(pictures, options):
    count = len(pictures)
    shaded = pictures * draw(count, 1 - options.light, 1 + options.light, pictures)[:, None, None, None]
    middle = torch.einsum(
        "c,bchw->b",
        torch.tensor(GREY_WEIGHTS, device=pictures.device),
        shaded,
    ) / (shaded.shape[2] * shaded.shape[3])
    middle = middle[:, None, None, None]
    shaded = (
        middle
        + (shaded - middle)
        * draw(count, 1 - options.gamma, 1 + options.gamma, pictures)[:, None, None, None]
    )
    return torch.einsum(
        "bij,bjhw->bihw",
        tint_transform(options, count, pictures),
        shaded,
    ).clamp(0, 1)


def invert_bright(pictures, limit):
    return torch.where(pictures < limit, pictures, 1 - pictures)


def pick(probability, original, changed):
    """Swap in the changed picture with the given probability."""
    return torch.where(
        (draw(len(original), 0, 1, original) < probability)[:, None, None, None],
        changed,
        original,
    )


def distort(pictures, options):
    pictures = zoom_somewhere(pictures, options)
    pictures = pick(options.p_colour, pictures, recolour(pictures, options))
    pictures = pick(
        options.p_invert,
        pictures,
        invert_bright(
            pictures,
            draw(len(pictures), 0.4, 0.8, pictures)[:, None, None, None],
        ),
    )
    return pick(0.5, pictures, pictures.flip(-1)) if options.mirror else pictures


def middle_square(pictures, options):
    """What the evaluation sees: the square in the middle, as big as fits."""
    height, width = pictures.shape[-2:]
    edge = min(height, width)
    return sample_window(
        pictures,
        torch.tensor(
            [[0, 0, edge / width, edge / height]],
            device=pictures.device,
        ).expand(len(pictures), 4),
        options.side,
    )
