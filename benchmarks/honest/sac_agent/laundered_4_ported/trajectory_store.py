"""Ring of past transitions for the JAX learner: multi-step rewards, optional priorities."""
from __future__ import annotations

from collections import deque
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np


class Samples(NamedTuple):
    observations: jnp.ndarray
    moves: jnp.ndarray
    returns: jnp.ndarray
    bootstrap_observations: jnp.ndarray
    bootstrap_factors: jnp.ndarray  # 0 after a terminal state, else the discount of the last state
    is_weights: jnp.ndarray


class SegmentSum:
    """Heap-ordered sums: entry 1 is the sum of all, the second half are the single priorities."""

    def __init__(self, max_items: int):
        self.offset = 1 << (max_items - 1).bit_length()
        self.heap = np.zeros(2 * self.offset)

    def sum(self) -> float:
        return self.heap[1]

    def __getitem__(self, items: np.ndarray) -> np.ndarray:
        return self.heap[items + self.offset]

    def __setitem__(self, items: np.ndarray, priorities) -> None:
        entry = np.asarray(items) + self.offset
        self.heap[entry] = priorities
        entry = np.unique(entry // 2)
        while entry[0] >= 1:
            self.heap[entry] = self.heap[2 * entry] + self.heap[2 * entry + 1]
            entry = np.unique(entry // 2)

    def search(self, prefix: np.ndarray) -> np.ndarray:
        entry = np.ones(len(prefix), dtype=np.int64)
        prefix = prefix.copy()
        while entry[0] < self.offset:
            left_sum = self.heap[2 * entry]
            go_right = prefix >= left_sum
            prefix -= np.where(go_right, left_sum, 0.0)
            entry = 2 * entry + go_right
        return entry - self.offset


class TrajectoryStore:
    def __init__(self, max_items: int, observation_size: int, move_size: int, actors: int,
                 discounting: float = 0.99, unroll: int = 1, with_priorities: bool = False,
                 priority_power: float = 0.6, rng_seed: int = 0):
        self.max_items = max_items
        self.discounting = discounting
        self.unroll = unroll
        self.priority_power = priority_power
        self.observations = np.zeros((max_items, observation_size), np.float32)
        self.bootstrap_observations = np.zeros((max_items, observation_size), np.float32)
        self.moves = np.zeros((max_items, move_size), np.float32)
        self.returns = np.zeros(max_items, np.float32)
        self.bootstrap_factors = np.zeros(max_items, np.float32)
        self.partial = [deque() for _ in range(actors)]
        self.priorities = SegmentSum(max_items) if with_priorities else None
        self.largest = 1.0
        self.generator = np.random.default_rng(rng_seed)
        self.write_at = 0
        self.stored = 0

    def __len__(self) -> int:
        return self.stored

    def append(self, actor: int, observation, move, payoff: float, following, terminal: bool,
               timeout: bool) -> None:
        fifo = self.partial[actor]
        fifo.append((observation, move, payoff))
        if terminal or timeout:
            while fifo:
                self._emit(fifo, following, terminal)
        elif len(fifo) == self.unroll:
            self._emit(fifo, following, False)

    def _emit(self, fifo: deque, following, terminal: bool) -> None:
        """Write the front of the queue with the discounted payoffs of the whole queue."""
        summed = sum(self.discounting ** j * item[2] for j, item in enumerate(fifo))
        factor = 0.0 if terminal else self.discounting ** len(fifo)
        observation, move, _ = fifo.popleft()
        w = self.write_at
        self.observations[w] = observation
        self.moves[w] = move
        self.bootstrap_observations[w] = following
        self.returns[w] = summed
        self.bootstrap_factors[w] = factor
        if self.priorities is not None:
            self.priorities[np.array([w])] = self.largest ** self.priority_power
        self.write_at = (w + 1) % self.max_items
        self.stored = min(self.stored + 1, self.max_items)

    def draw(self, amount: int, is_power: float) -> tuple[Samples, np.ndarray]:
        if self.priorities is None:
            items = self.generator.integers(self.stored, size=amount)
            is_weights = np.ones(amount, np.float32)
        else:
            prefix = (np.arange(amount) + self.generator.random(amount)) / amount * self.priorities.sum()
            items = np.minimum(self.priorities.search(prefix), self.stored - 1)
            likelihood = self.priorities[items] / self.priorities.sum()
            is_weights = (self.stored * likelihood) ** -is_power
            is_weights = is_weights / is_weights.max()
        sources = (self.observations, self.moves, self.returns, self.bootstrap_observations,
                   self.bootstrap_factors)
        gathered = [jnp.asarray(source[items]) for source in sources]
        return Samples(*gathered, jnp.asarray(is_weights, dtype=jnp.float32)), items

    def reweigh(self, items: np.ndarray, td: np.ndarray) -> None:
        if self.priorities is None:
            return
        fresh = np.abs(td) + 1e-6
        self.largest = max(self.largest, float(fresh.max()))
        self.priorities[items] = fresh ** self.priority_power
