"""What the rover remembers. Uniform memory is the base; the prioritised one adds a tree of sums."""
from collections import deque

import numpy as np
import torch


class Memory:
    def __init__(self, n_obs, n_act, slots, copies, seed=0, horizon=1, gamma=0.99):
        self.horizon = horizon
        self.gamma = gamma
        self.slots = slots
        self.random = np.random.default_rng(seed)
        self.columns = {
            "o": np.zeros((slots, n_obs), dtype=np.float32),
            "a": np.zeros((slots, n_act), dtype=np.float32),
            "r": np.zeros((slots,), dtype=np.float32),
            "o2": np.zeros((slots, n_obs), dtype=np.float32),
            "d": np.zeros((slots,), dtype=np.float32),
        }
        self.used = 0
        self.place = 0
        self.open = {c: deque() for c in range(copies)}

    def __len__(self):
        return self.used

    def push(self, copy, a, o, o2, r, cut, dead):
        steps = self.open[copy]
        steps.append((o, a, r))
        if not (dead or cut):
            if len(steps) < self.horizon:
                return
            self._put(self._fold(steps, o2, dead=False))
            return
        for _ in range(len(steps)):
            self._put(self._fold(steps, o2, dead))

    def _fold(self, steps, o2, dead):
        """Take the first step out of the queue, carrying the discounted rewards of all."""
        r, d = 0.0, 1.0
        for _, _, later in steps:
            r += d * later
            d *= self.gamma
        o, a, _ = steps.popleft()
        return {"o": o, "a": a, "r": r, "o2": o2, "d": 0.0 if dead else d}

    def _put(self, row):
        for key, value in row.items():
            self.columns[key][self.place] = value
        self.written(self.place)
        self.place += 1
        if self.place == self.slots:
            self.place = 0
        if self.used < self.slots:
            self.used += 1

    def sample(self, device, n, beta):
        rows, weights = self.choose(n, beta)
        batch = {key: torch.from_numpy(column[rows]).to(device) for key, column in self.columns.items()}
        batch["w"] = torch.from_numpy(weights.astype(np.float32)).to(device)
        return rows, batch

    # the three places where a prioritised memory differs

    def written(self, row):
        pass

    def choose(self, n, beta):
        return self.random.integers(0, self.used, n), np.ones(n)

    def reprioritise(self, errors, rows):
        pass


class PrioritisedMemory(Memory):
    def __init__(self, *args, alpha=0.6, **kwargs):
        super().__init__(*args, **kwargs)
        self.alpha = alpha
        self.ceiling = 1.0
        self.base = 1
        while self.base < self.slots:
            self.base *= 2
        self.sums = np.zeros(2 * self.base)

    def _assign(self, rows, values):
        at = rows + self.base
        self.sums[at] = values
        for _ in range(self.base.bit_length() - 1):
            at = np.unique(at >> 1)
            self.sums[at] = self.sums[at << 1] + self.sums[(at << 1) | 1]

    def _descend(self, targets):
        at = np.ones(targets.shape, dtype=np.int64)
        rest = np.array(targets)
        for _ in range(self.base.bit_length() - 1):
            at <<= 1
            below = self.sums[at]
            beyond = rest >= below
            rest[beyond] -= below[beyond]
            at += beyond
        return at - self.base

    def written(self, row):
        self._assign(np.array([row]), self.ceiling ** self.alpha)

    def choose(self, n, beta):
        whole = self.sums[1]
        strata = np.arange(n) + self.random.random(n)
        rows = np.clip(self._descend(strata * whole / n), None, self.used - 1)
        share = self.sums[self.base + rows] / whole
        weights = np.power(share * self.used, -beta)
        return rows, weights / np.max(weights)

    def reprioritise(self, errors, rows):
        fresh = 1e-6 + np.absolute(errors)
        top = float(np.max(fresh))
        if top > self.ceiling:
            self.ceiling = top
        self._assign(rows, np.power(fresh, self.alpha))


def make_memory(prioritised, **settings):
    return (PrioritisedMemory if prioritised else Memory)(**settings)
