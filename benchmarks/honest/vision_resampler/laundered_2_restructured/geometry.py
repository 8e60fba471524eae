"""Shape arithmetic for slicing pictures."""

import math
from typing import NamedTuple

SLICE_RES = 336
PATCH = 14
SLICE_LIMIT = 9
COUNT_LAMBDA = 0.3


class SliceGrid(NamedTuple):
    ny: int
    nx: int

    def __int__(self):
        return self.nx * self.ny

    def is_single(self):
        return int(self) == 1


def enumerate_grids(limit=SLICE_LIMIT):
    found = []
    ny = 1
    while ny <= limit:
        for nx in range(1, limit // ny + 1):
            found.append(SliceGrid(ny, nx))
        ny += 1
    return found


def grid_penalty(grid, im_h, im_w, slice_res=SLICE_RES, limit=SLICE_LIMIT, lam=COUNT_LAMBDA):
    """Smaller is better."""
    # how many slices would we like to have?
    want = (im_w * im_h) / (slice_res * slice_res)
    if want < 1.0:
        want = 1.0
    elif want > limit:
        want = float(limit)
    count_term = math.log(int(grid) / want)
    ratio_term = math.log(grid.nx / grid.ny) - math.log(im_w / im_h)
    return abs(ratio_term) + lam * abs(count_term)


def best_grid(im_h, im_w, slice_res=SLICE_RES, limit=SLICE_LIMIT, lam=COUNT_LAMBDA):
    if im_h * im_w > slice_res * slice_res:
        winner, lowest = None, math.inf
        for grid in enumerate_grids(limit):
            p = grid_penalty(grid, im_h, im_w, slice_res, limit, lam)
            if p < lowest:
                winner, lowest = grid, p
        return winner
    return SliceGrid(1, 1)


def fit_to_patches(im_h, im_w, slice_res=SLICE_RES, patch=PATCH):
    """Target resolution of one view; both sides divide by the patch."""
    zoom = slice_res / math.sqrt(im_h * im_w)
    sides = []
    for s in (im_h, im_w):
        n = round(s * zoom / patch)
        if n < 1:
            n = 1
        sides.append(n * patch)
    return tuple(sides)


def aspect_of(grid):
    # only for logging
    return f"{grid.nx / grid.ny:.2f}"
