"""Cut an image of any aspect ratio into a grid of tiles plus one thumbnail.

All images are float tensors in [0, 1] with shape (3, H, W). Every tile side is a multiple of the patch size,
so that a tile can be cut into patches without padding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class TilingConfig:
    """How large tiles are and how many of them an image may use."""

    target_size: int = 336  # a tile covers about target_size ** 2 pixels
    patch_size: int = 14
    max_tiles: int = 9
    count_weight: float = 0.3  # how much a wrong tile count matters next to a wrong aspect ratio
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Grid:
    """A layout of tiles."""

    rows: int
    cols: int

    @property
    def num_tiles(self) -> int:
        """Number of cells."""
        return self.rows * self.cols

    @property
    def log_aspect(self) -> float:
        """Logarithm of width over height, if every cell is a square."""
        return math.log(self.cols / self.rows)


@dataclass
class TiledImage:
    """The result of tiling: a thumbnail of the whole image and, if the image is large, its tiles."""

    thumbnail: Tensor  # (3, Ht, Wt)
    grid: Grid
    tiles: Tensor | None = field(default=None)  # (rows * cols, 3, Hc, Wc), row-major

    def views(self) -> list[Tensor]:
        """Thumbnail first, then the tiles in reading order, each (3, H, W)."""
        if self.tiles is None:
            return [self.thumbnail]
        return [self.thumbnail, *self.tiles.unbind(dim=0)]


class GridChooser:
    """Pick the grid whose shape and size suit an image best."""

    def __init__(self, config: TilingConfig) -> None:
        self.config = config
        self.candidates = [
            Grid(rows=rows, cols=cols)
            for rows in range(1, config.max_tiles + 1)
            for cols in range(1, config.max_tiles // rows + 1)
        ]

    def ideal_count(self, *, height: int, width: int) -> float:
        """Number of target-sized tiles that hold all pixels, between 1 and the maximum."""
        count = height * width / self.config.target_size**2
        return min(max(count, 1.0), float(self.config.max_tiles))

    def cost(self, grid: Grid, *, height: int, width: int) -> float:
        """Distortion of the cells plus a penalty for using too few or too many of them."""
        distortion = abs(grid.log_aspect - math.log(width / height))
        ideal = self.ideal_count(height=height, width=width)
        miscount = abs(math.log(grid.num_tiles / ideal))
        return distortion + self.config.count_weight * miscount

    def __call__(self, *, height: int, width: int) -> Grid:
        """Return the cheapest grid; small images stay whole."""
        if height * width <= self.config.target_size**2:
            return Grid(rows=1, cols=1)
        return min(self.candidates, key=lambda grid: self.cost(grid, height=height, width=width))


class ImageTiler:
    """Resize, normalise and cut images."""

    def __init__(self, config: TilingConfig | None = None) -> None:
        self.config = config or TilingConfig()
        self.choose_grid = GridChooser(self.config)

    def snap(self, length: float) -> int:
        """Round a side to a multiple of the patch size, at least one patch."""
        patch = self.config.patch_size
        return max(1, round(length / patch)) * patch

    def cell_size(self, *, height: float, width: float) -> tuple[int, int]:
        """Height and width of about the target area with the aspect ratio given."""
        scale = self.config.target_size / math.sqrt(height * width)
        return self.snap(height * scale), self.snap(width * scale)

    def resize(self, image: Tensor, *, size: tuple[int, int]) -> Tensor:
        """(3, H, W) -> (3, *size), antialiased."""
        batched = image.unsqueeze(0)  # (1, 3, H, W)
        resized = F.interpolate(batched, size=size, mode="bicubic", align_corners=False, antialias=True)
        return resized.squeeze(0).clamp(min=0.0, max=1.0)

    def normalise(self, image: Tensor) -> Tensor:
        """Subtract the mean and divide by the standard deviation of each channel."""
        mean = torch.tensor(self.config.mean, dtype=image.dtype, device=image.device).view(3, 1, 1)
        std = torch.tensor(self.config.std, dtype=image.dtype, device=image.device).view(3, 1, 1)
        return (image - mean) / std

    def cut(self, image: Tensor, *, grid: Grid) -> Tensor:
        """(3, rows * h, cols * w) -> (rows * cols, 3, h, w)."""
        channels, height, width = image.shape
        tile_h, tile_w = height // grid.rows, width // grid.cols
        tiles = image.reshape(channels, grid.rows, tile_h, grid.cols, tile_w)
        tiles = tiles.permute(1, 3, 0, 2, 4)  # (rows, cols, 3, h, w)
        return tiles.reshape(grid.num_tiles, channels, tile_h, tile_w)

    def __call__(self, image: Tensor) -> TiledImage:
        """Tile one image (3, H, W)."""
        _, height, width = image.shape
        thumb_size = self.cell_size(height=height, width=width)
        thumbnail = self.normalise(self.resize(image, size=thumb_size))

        grid = self.choose_grid(height=height, width=width)
        if grid.num_tiles == 1:
            return TiledImage(thumbnail=thumbnail, grid=grid)

        tile_h, tile_w = self.cell_size(height=height / grid.rows, width=width / grid.cols)
        canvas = self.resize(image, size=(tile_h * grid.rows, tile_w * grid.cols))
        tiles = self.cut(self.normalise(canvas), grid=grid)
        return TiledImage(thumbnail=thumbnail, grid=grid, tiles=tiles)
