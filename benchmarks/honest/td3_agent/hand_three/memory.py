"""Fixed-size ring buffer that keeps transitions in host memory."""
from typing import NamedTuple

import numpy as np


class Transitions(NamedTuple):
    obs: np.ndarray
    act: np.ndarray
    rew: np.ndarray
    next_obs: np.ndarray
    mask: np.ndarray  # 0 where the episode really terminated, 1 elsewhere


class RingBuffer:
    def __init__(self, limit, obs_dim, act_dim, seed=0):
        shapes = [(obs_dim,), (act_dim,), (), (obs_dim,), ()]
        self._store = Transitions(*(np.empty((limit, *s), np.float32) for s in shapes))
        self._limit = limit
        self._written = 0
        self._rng = np.random.default_rng(seed)

    def __len__(self):
        return min(self._written, self._limit)

    def push(self, obs, act, rew, next_obs, terminated):
        slot = self._written % self._limit
        row = (obs, act, rew, next_obs, 1.0 - float(terminated))
        for column, value in zip(self._store, row):
            column[slot] = value
        self._written += 1

    def draw(self, n):
        picks = self._rng.integers(len(self), size=n)
        return Transitions(*(column[picks] for column in self._store))
