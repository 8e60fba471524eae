"""Cut a page into overlapping tiles.

A page of small print does not survive being squeezed into one square, and a tile border that runs
through a line of text ruins that line for both tiles. So tiles share a seam, and the grid is chosen
by how much detail is lost rather than by the nearest aspect ratio.
"""

import math
from dataclasses import dataclass, field

from PIL import Image

# A blank margin must not look like a black bar: this is the median paper of our scans.
PAPER = (236, 233, 226)


@dataclass
class Mosaic:
    """Pictures of a page: the overview first, then the tiles row by row.

    spots: left, top, right, bottom of each picture as parts of the page's width and height.
    live: columns and rows of patches of each picture that show the page and not the padding.
    """

    grid: tuple
    pictures: list = field(default_factory=list)
    spots: list = field(default_factory=list)
    live: list = field(default_factory=list)

    def add(self, picture, spot, live):
        self.pictures.append(picture)
        self.spots.append(spot)
        self.live.append(live)


def span(count, tile, seam):
    """Pixels covered by `count` tiles in a row."""
    return count * tile - (count - 1) * seam


def grid_cost(width, height, cols, rows, tile, seam):
    canvas_w = span(cols, tile, seam)
    canvas_h = span(rows, tile, seam)
    zoom = min(canvas_w / width, canvas_h / height)
    blur = max(0.0, -math.log2(zoom))  # octaves of detail lost
    filled = (width * zoom) * (height * zoom) / (canvas_w * canvas_h)
    return 1.7 * blur + (1.0 - filled) + 0.045 * cols * rows


def choose_grid(width, height, budget, tile, seam):
    """Columns and rows of the cheapest grid of at most `budget` tiles."""
    best_cost, best_grid = math.inf, (1, 1)
    for rows in range(1, budget + 1):
        for cols in range(1, budget // rows + 1):
            cost = grid_cost(width, height, cols, rows, tile, seam)
            if cost <= best_cost:
                best_cost = cost
                best_grid = (cols, rows)
    return best_grid


def lay_on_paper(image, canvas_w, canvas_h):
    """Scale to fit, put into the upper left corner; returns the canvas and the size of the picture."""
    zoom = min(canvas_w / image.width, canvas_h / image.height)
    fitted_w = max(1, round(image.width * zoom))
    fitted_h = max(1, round(image.height * zoom))
    canvas = Image.new("RGB", (canvas_w, canvas_h), PAPER)
    canvas.paste(image.resize((fitted_w, fitted_h), Image.LANCZOS), (0, 0))
    return canvas, fitted_w, fitted_h


def live_patches(fitted, offset, tile, patch):
    """Patches along one side of a tile that starts at `offset` that show picture."""
    visible = min(max(fitted - offset, 0), tile)
    return visible // patch


def make_mosaic(image, budget=8, tile=384, seam=32, patch=16):
    image = image.convert("RGB")
    cols, rows = choose_grid(image.width, image.height, budget, tile, seam)
    mosaic = Mosaic(grid=(cols, rows))

    overview, fitted_w, fitted_h = lay_on_paper(image, tile, tile)
    mosaic.add(
        overview,
        (0.0, 0.0, tile / fitted_w, tile / fitted_h),
        (live_patches(fitted_w, 0, tile, patch), live_patches(fitted_h, 0, tile, patch)),
    )
    if cols * rows == 1:
        return mosaic

    canvas, fitted_w, fitted_h = lay_on_paper(image, span(cols, tile, seam), span(rows, tile, seam))
    step = tile - seam
    for row in range(rows):
        for col in range(cols):
            left, top = col * step, row * step
            mosaic.add(
                canvas.crop((left, top, left + tile, top + tile)),
                (left / fitted_w, top / fitted_h, (left + tile) / fitted_w, (top + tile) / fitted_h),
                (live_patches(fitted_w, left, tile, patch), live_patches(fitted_h, top, tile, patch)),
            )
    return mosaic
