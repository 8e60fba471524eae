"""Replay buffer with n-step returns and optional proportional prioritisation."""
from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Batch(NamedTuple):
    obs: Tensor
    action: Tensor
    reward: Tensor      # discounted n-step return
    next_obs: Tensor
    discount: Tensor    # gamma ** steps, or 0 after termination
    weight: Tensor      # importance-sampling weights
    index: np.ndarray


class SumTree:
    """Complete binary tree; the leaves hold priorities and the inner nodes hold sums."""

    def __init__(self, capacity: int):
        self.size = 1 << (capacity - 1).bit_length()
        self.depth = self.size.bit_length() - 1
        self.nodes = np.zeros(2 * self.size, dtype=np.float64)

    @property
    def total(self) -> float:
        return float(self.nodes[1])

    def get(self, index: np.ndarray) -> np.ndarray:
        return self.nodes[index + self.size]

    def set(self, index: np.ndarray, value: np.ndarray) -> None:
        node = np.asarray(index) + self.size
        self.nodes[node] = value
        for _ in range(self.depth):
            node = np.unique(node // 2)
            self.nodes[node] = self.nodes[2 * node] + self.nodes[2 * node + 1]

    def find(self, mass: np.ndarray) -> np.ndarray:
        node = np.ones(len(mass), dtype=np.int64)
        mass = mass.copy()
        for _ in range(self.depth):
            left = self.nodes[2 * node]
            right = mass >= left
            mass = np.where(right, mass - left, mass)
            node = 2 * node + right
        return node - self.size


class ReplayBuffer:
    def __init__(self, capacity: int, obs_dim: int, act_dim: int, num_envs: int, *,
                 gamma: float = 0.99, n_step: int = 1, prioritized: bool = False,
                 alpha: float = 0.6, eps: float = 1e-3, seed: int = 0):
        self.capacity, self.gamma, self.n_step = capacity, gamma, n_step
        self.alpha, self.eps = alpha, eps
        self.obs = np.zeros((capacity, obs_dim), np.float32)
        self.next_obs = np.zeros((capacity, obs_dim), np.float32)
        self.action = np.zeros((capacity, act_dim), np.float32)
        self.reward = np.zeros(capacity, np.float32)
        self.discount = np.zeros(capacity, np.float32)
        self.pending: list[deque] = [deque() for _ in range(num_envs)]
        self.tree = SumTree(capacity) if prioritized else None
        self.max_priority = 1.0
        self.rng = np.random.default_rng(seed)
        self.pos = self.size = 0

    def __len__(self) -> int:
        return self.size

    def add(self, obs, action, reward, next_obs, terminated, truncated, skip) -> None:
        """Add one step of every environment, except those flagged in `skip`."""
        for i, queue in enumerate(self.pending):
            if skip[i]:
                continue
            queue.append((obs[i], action[i], float(reward[i])))
            if terminated[i] or truncated[i]:
                while queue:
                    self._emit(queue, next_obs[i], bool(terminated[i]))
            elif len(queue) == self.n_step:
                self._emit(queue, next_obs[i], False)

    def _emit(self, queue: deque, last_obs: np.ndarray, terminal: bool) -> None:
        """Store the oldest pending step with the return accumulated over the queue."""
        ret = sum(self.gamma ** k * step[2] for k, step in enumerate(queue))
        discount = 0.0 if terminal else self.gamma ** len(queue)
        obs, action, _ = queue.popleft()
        i = self.pos
        self.obs[i], self.action[i], self.next_obs[i] = obs, action, last_obs
        self.reward[i], self.discount[i] = ret, discount
        if self.tree is not None:
            self.tree.set(np.array([i]), np.array([self.max_priority ** self.alpha]))
        self.pos = (i + 1) % self.capacity
        self.size = min(self.size + 1, self.capacity)

    def sample(self, batch_size: int, device: torch.device, beta: float = 0.4) -> Batch:
        if self.tree is None:
            index = self.rng.integers(self.size, size=batch_size)
            weight = np.ones(batch_size, np.float32)
        else:
            strata = (np.arange(batch_size) + self.rng.random(batch_size)) / batch_size
            index = np.minimum(self.tree.find(strata * self.tree.total), self.size - 1)
            prob = self.tree.get(index) / self.tree.total
            weight = (self.size * prob) ** -beta
            weight = (weight / weight.max()).astype(np.float32)
        arrays = (self.obs[index], self.action[index], self.reward[index],
                  self.next_obs[index], self.discount[index], weight)
        return Batch(*(torch.as_tensor(a, device=device) for a in arrays), index)

    def update_priorities(self, index: np.ndarray, td_error: np.ndarray) -> None:
        if self.tree is None:
            return
        priority = np.abs(td_error) + self.eps
        self.max_priority = max(self.max_priority, float(priority.max()))
        self.tree.set(index, priority ** self.alpha)
