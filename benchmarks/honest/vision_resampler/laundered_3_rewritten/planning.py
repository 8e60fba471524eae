"""Decide, before touching any pixel, which rectangles of the picture are looked at and at which size.

A plan is an integer array with one row per look: (top cell, left cell, out height, out width), plus the
partition of the picture it refers to.
"""

import numpy as np


class Plan:
    def __init__(self, picture, split, whole, part):
        self.picture = picture
        self.split = split
        self.whole = whole
        self.part = part

    @property
    def is_split(self):
        return self.split != (1, 1)

    def sheet(self):
        """Size of the enlarged picture that the parts are taken from."""
        return tuple(n * s for n, s in zip(self.split, self.part))

    def windows(self):
        """Pixel windows (top, bottom, left, right) on the sheet, in reading order."""
        if not self.is_split:
            return
        (down, across), (ph, pw) = self.split, self.part
        for index in range(down * across):
            y, x = divmod(index, across)
            yield y * ph, (y + 1) * ph, x * pw, (x + 1) * pw


def _on_grain(shape, spec):
    """Area-preserving size: spec.edge squared pixels at this shape, on the patch lattice."""
    shape = np.asarray(shape, dtype=np.float64)
    cells = np.rint(shape * (spec.edge / np.sqrt(shape.prod())) / spec.grain).astype(int)
    return tuple(int(c) for c in np.maximum(cells, 1) * spec.grain)


def _splits(budget):
    """All (down, across) with down * across <= budget, shape (n, 2)."""
    down, across = np.divmod(np.arange(budget * budget), budget)
    pairs = np.stack([down + 1, across + 1], axis=1)
    return pairs[pairs.prod(axis=1) <= budget]


def plan(height, width, spec):
    fill = height * width / spec.edge**2  # in units of one look
    split = (1, 1)
    if fill > 1:
        table = _splits(spec.budget)
        down, across = np.log(table).T
        skew = across - down - np.log(width / height)
        excess = across + down - np.log(np.clip(fill, 1.0, spec.budget))
        energy = np.abs(np.stack([skew, excess])).T @ np.array([1.0, spec.budget_pull])
        split = tuple(table[energy.argmin()].tolist())
    part = _on_grain((height / split[0], width / split[1]), spec)
    return Plan((height, width), split, _on_grain((height, width), spec), part)
