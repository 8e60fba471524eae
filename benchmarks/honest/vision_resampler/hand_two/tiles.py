"""Cut an image of any shape into near-square-budget tiles plus a thumbnail."""

from math import ceil, log, sqrt

import torch
import torch.nn.functional as F
from torch import Tensor

MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


def grids(n: int) -> list[tuple[int, int]]:
    """All (rows, cols) with at most n cells."""
    return [(r, c) for r in range(1, n + 1) for c in range(1, n // r + 1)]


def cost(h: int, w: int, r: int, c: int, side: int) -> float:
    """How badly an r x c grid of side x side tiles suits an h x w image, in log units."""
    stretch = abs(log(w * r / (h * c)))
    zoom = log(r * c * side**2 / (h * w))
    # losing pixels hurts more than inventing them
    return stretch + (0.5 * zoom if zoom > 0 else -0.8 * zoom)


def best_grid(h: int, w: int, side: int, max_tiles: int) -> tuple[int, int]:
    """The cheapest grid; ties go to fewer tiles."""
    return min(grids(max_tiles), key=lambda g: (round(cost(h, w, *g, side), 6), g[0] * g[1]))


def fit(h: float, w: float, side: int, p: int) -> tuple[int, int]:
    """Keep the aspect of h x w, spend about side**2 pixels, land on multiples of the patch p."""
    k = side / sqrt(h * w)
    th, tw = (max(p, round(k * x / p) * p) for x in (h, w))
    # rounding both up can overshoot the budget by a patch row: shave the longer edge
    while th * tw > 1.1 * side**2 and max(th, tw) > p:
        th, tw = (th - p, tw) if th >= tw else (th, tw - p)
    return th, tw


def resize(x: Tensor, hw: tuple[int, int]) -> Tensor:
    """Antialiased bicubic of (C, H, W)."""
    return F.interpolate(x[None], hw, mode="bicubic", antialias=True, align_corners=False)[0].clamp(0, 1)


def cut(x: Tensor, r: int, c: int) -> Tensor:
    """(C, r*h, c*w) -> (r*c, C, h, w), row by row."""
    return x.unflatten(2, (c, -1)).unflatten(1, (r, -1)).permute(1, 3, 0, 2, 4).flatten(0, 1)


def normalize(x: Tensor) -> Tensor:
    """Channel-wise standardisation of (..., C, H, W) in [0, 1]."""
    m, s = (torch.tensor(v, dtype=x.dtype, device=x.device)[:, None, None] for v in (MEAN, STD))
    return (x - m) / s


def split(img: Tensor, side: int = 448, p: int = 14, max_tiles: int = 9) -> dict:
    """Image (3, H, W), uint8 or [0, 1] -> thumb (3, h, w), tiles (r*c, 3, h', w') or empty, grid (r, c)."""
    x = img.float() / 255 if img.dtype == torch.uint8 else img
    h, w = x.shape[1:]
    r, c = best_grid(h, w, side, max_tiles)
    thumb = normalize(resize(x, fit(h, w, side, p)))
    if r * c == 1:
        return {"thumb": thumb, "tiles": [], "grid": (0, 0)}
    th, tw = fit(ceil(h / r), ceil(w / c), side, p)
    return {"thumb": thumb, "tiles": list(normalize(cut(resize(x, (r * th, c * tw)), r, c))), "grid": (r, c)}


def patchify(x: Tensor, p: int) -> Tensor:
    """(C, H, W) -> (H/p * W/p, p*p*C)."""
    return x.unflatten(2, (-1, p)).unflatten(1, (-1, p)).permute(1, 3, 2, 4, 0).flatten(2).flatten(0, 1)


def coords(h: int, w: int) -> Tensor:
    """Row and column of every cell of an h x w grid, (h*w, 2)."""
    return torch.cartesian_prod(torch.arange(h), torch.arange(w)).view(-1, 2)


def pack(views: list[Tensor], p: int) -> dict[str, Tensor]:
    """Views of various shapes -> patches (B, L, D), yx (B, L, 2), mask (B, L), True where real."""
    seqs = [patchify(v, p) for v in views]
    pos = [coords(v.shape[1] // p, v.shape[2] // p) for v in views]
    n = torch.tensor([len(s) for s in seqs])
    pad = torch.nn.utils.rnn.pad_sequence
    return {
        "patches": pad(seqs, batch_first=True),
        "yx": pad(pos, batch_first=True),
        "mask": torch.arange(int(n.max()))[None] < n[:, None],
    }
