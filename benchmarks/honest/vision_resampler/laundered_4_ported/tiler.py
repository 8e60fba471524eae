"""Dynamic tiling for JAX. Images are (H, W, 3) float arrays in [0, 1]; shapes are static Python ints."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

CHANNEL_MEAN = (0.5, 0.5, 0.5)
CHANNEL_STD = (0.5, 0.5, 0.5)


@struct.dataclass
class TilerConfig:
    base_size: int = struct.field(pytree_node=False, default=336)
    patch: int = struct.field(pytree_node=False, default=14)
    tile_budget: int = struct.field(pytree_node=False, default=9)
    budget_weight: float = struct.field(pytree_node=False, default=0.3)


class TileLayout(NamedTuple):
    n_rows: int
    n_cols: int

    @property
    def total(self) -> int:
        return self.n_rows * self.n_cols


def ideal_tiles(cfg: TilerConfig, h: int, w: int) -> float:
    n = h * w / cfg.base_size**2
    return min(max(n, 1.0), float(cfg.tile_budget))


def layout_cost(cfg: TilerConfig, layout: TileLayout, h: int, w: int) -> float:
    """Aspect ratio mismatch plus weighted tile count mismatch, both in log space."""
    aspect = math.log(layout.n_cols / layout.n_rows)
    distortion = abs(aspect - math.log(w / h))
    mismatch = abs(math.log(layout.total / ideal_tiles(cfg, h, w)))
    return distortion + cfg.budget_weight * mismatch


def select_layout(cfg: TilerConfig, h: int, w: int) -> TileLayout:
    if h * w <= cfg.base_size**2:
        return TileLayout(1, 1)
    options = [
        TileLayout(r, c)
        for r in range(1, cfg.tile_budget + 1)
        for c in range(1, cfg.tile_budget // r + 1)
    ]
    return min(options, key=lambda o: layout_cost(cfg, o, h, w))


def round_to_patch(cfg: TilerConfig, side: float) -> int:
    return max(1, round(side / cfg.patch)) * cfg.patch


def tile_shape(cfg: TilerConfig, h: float, w: float) -> tuple[int, int]:
    s = cfg.base_size / math.sqrt(h * w)
    return round_to_patch(cfg, h * s), round_to_patch(cfg, w * s)


def resize_image(image: jax.Array, h: int, w: int) -> jax.Array:
    out = jax.image.resize(image, (h, w, image.shape[-1]), method="cubic", antialias=True)
    return jnp.clip(out, 0.0, 1.0)


def normalize(image: jax.Array) -> jax.Array:
    mean = jnp.asarray(CHANNEL_MEAN, dtype=image.dtype)
    std = jnp.asarray(CHANNEL_STD, dtype=image.dtype)
    return (image - mean) / std


def split_tiles(image: jax.Array, layout: TileLayout) -> jax.Array:
    """(rows * h, cols * w, C) -> (rows * cols, h, w, C)."""
    height, width, ch = image.shape
    th, tw = height // layout.n_rows, width // layout.n_cols
    x = image.reshape(layout.n_rows, th, layout.n_cols, tw, ch)
    x = x.transpose(0, 2, 1, 3, 4)
    return x.reshape(layout.total, th, tw, ch)


def tile_image(cfg: TilerConfig, image: jax.Array) -> tuple[list[jax.Array], TileLayout]:
    """Overview image first, then the tiles (if any) in row-major order."""
    h, w, _ = image.shape
    overview = normalize(resize_image(image, *tile_shape(cfg, h, w)))
    layout = select_layout(cfg, h, w)
    if layout.total == 1:
        return [overview], layout

    th, tw = tile_shape(cfg, h / layout.n_rows, w / layout.n_cols)
    full = resize_image(image, th * layout.n_rows, tw * layout.n_cols)
    tiles = split_tiles(normalize(full), layout)
    return [overview, *tiles], layout
