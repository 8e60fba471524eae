"""Images become a stack of equally large cells."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL.Image import Image
from torch import Tensor

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


class Canvas(NamedTuple):
    cells: Tensor  # (n, 3, cell, cell)
    where: Tensor  # (n, 2) row and column, counted from 1; the whole image is (0, 0)


def grid_for(height: int, width: int, cell: int, max_cells: int) -> tuple[int, int]:
    """Enough rows and columns to keep the resolution; shrunk evenly until they fit the budget."""
    rows, cols = height / cell, width / cell
    excess = (rows * cols / max_cells) ** 0.5
    if excess > 1:
        rows, cols = rows / excess, cols / excess
    r, c = max(1, round(rows)), max(1, round(cols))
    while r * c > max_cells:
        # drop from the side where one cell matters least
        if r > c:
            r -= 1
        else:
            c -= 1
    return r, c


def paint(image: Image, cell: int, max_cells: int) -> Canvas:
    """We stretch rather than pad: a distortion of a few per cent hurts less than empty cells."""
    tensor = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1) / 255
    tensor = ((tensor - MEAN) / STD)[None]
    r, c = grid_for(image.height, image.width, cell, max_cells)

    whole = F.interpolate(tensor, (cell, cell), mode="bilinear", antialias=True)
    where = torch.zeros(1, 2, dtype=torch.long)
    if r == c == 1:
        return Canvas(whole, where)

    large = F.interpolate(tensor, (r * cell, c * cell), mode="bilinear", antialias=True)
    cells = large.view(3, r, cell, c, cell).permute(1, 3, 0, 2, 4).reshape(r * c, 3, cell, cell)
    numbers = torch.cartesian_prod(torch.arange(1, r + 1), torch.arange(1, c + 1))
    return Canvas(torch.cat([whole, cells]), torch.cat([where, numbers]))
