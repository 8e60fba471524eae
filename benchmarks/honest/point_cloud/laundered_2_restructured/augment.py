"""Random changes to single scans, written as plain functions of (rng, pts)."""
from functools import partial

import numpy as np


def fit_unit_ball(pts):
    pts = pts - np.mean(pts, axis=0)
    biggest = np.sqrt((pts ** 2).sum(axis=1)).max()
    if biggest == 0:
        return pts
    return pts / biggest


def turn(rng, pts):
    """Rotation by any angle; y is up."""
    phi = 2.0 * np.pi * rng.random()
    matrix = np.eye(3, dtype=np.float32)
    matrix[0, 0] = matrix[2, 2] = np.cos(phi)
    matrix[2, 0] = np.sin(phi)
    matrix[0, 2] = -matrix[2, 0]
    return np.matmul(pts, matrix)


def resize(rng, pts, high, low):
    return rng.uniform(low, high) * pts


def wobble(rng, pts, bound, sigma):
    return pts + np.clip(sigma * rng.standard_normal(pts.shape), -bound, bound)


def thin_out(rng, pts, ceiling):
    """The row count is kept: lost rows take the place of the first one that stays."""
    threshold = ceiling * rng.random()
    stays = rng.random(pts.shape[0]) >= threshold
    if stays.all() or not stays.any():
        return pts
    return np.where(stays[:, None], pts, pts[np.argmax(stays)])


def default_pipeline(ceiling=0.7, low=0.8, high=1.2, sigma=0.01, bound=0.04, with_turn=True):
    if low <= 0 or high < low:
        raise ValueError(f"cannot resize between {low} and {high}")
    middle = [turn] if with_turn else []
    return [
        partial(thin_out, ceiling=ceiling),
        partial(resize, low=low, high=high),
        *middle,
        partial(wobble, sigma=sigma, bound=bound),
    ]
