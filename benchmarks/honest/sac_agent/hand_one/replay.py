"""Replay memory with n-step returns and optional prioritised sampling."""
from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import torch


@dataclass
class Batch:
    obs: torch.Tensor
    action: torch.Tensor
    reward: torch.Tensor
    next_obs: torch.Tensor
    discount: torch.Tensor  # gamma ** k, or zero if the episode terminated within the k steps
    weight: torch.Tensor
    index: np.ndarray


class SumTree:
    """Binary tree in an array; leaf i holds a priority and each parent the sum of its children."""

    def __init__(self, capacity: int):
        self.leaves = 1 << (capacity - 1).bit_length()
        self.nodes = np.zeros(2 * self.leaves)

    @property
    def total(self) -> float:
        return self.nodes[1]

    def get(self, index: np.ndarray) -> np.ndarray:
        return self.nodes[index + self.leaves]

    def set(self, index: np.ndarray, value: np.ndarray) -> None:
        node = np.asarray(index) + self.leaves
        self.nodes[node] = value
        node = np.unique(node // 2)
        while node[0] >= 1:
            self.nodes[node] = self.nodes[2 * node] + self.nodes[2 * node + 1]
            node = np.unique(node // 2)

    def find(self, mass: np.ndarray) -> np.ndarray:
        node = np.ones(len(mass), dtype=np.int64)
        mass = mass.copy()
        while node[0] < self.leaves:
            left = self.nodes[2 * node]
            right = mass >= left
            mass -= np.where(right, left, 0.0)
            node = 2 * node + right
        return node - self.leaves


class ReplayBuffer:
    def __init__(self, capacity: int, obs_dim: int, act_dim: int, num_envs: int, gamma: float = 0.99,
                 n_step: int = 1, prioritised: bool = False, alpha: float = 0.6, seed: int = 0):
        self.capacity, self.gamma, self.n_step, self.alpha = capacity, gamma, n_step, alpha
        self.obs = np.zeros((capacity, obs_dim), np.float32)
        self.next_obs = np.zeros((capacity, obs_dim), np.float32)
        self.action = np.zeros((capacity, act_dim), np.float32)
        self.reward = np.zeros(capacity, np.float32)
        self.discount = np.zeros(capacity, np.float32)
        self.pending = [deque() for _ in range(num_envs)]
        self.tree = SumTree(capacity) if prioritised else None
        self.max_priority = 1.0
        self.rng = np.random.default_rng(seed)
        self.cursor = self.size = 0

    def __len__(self) -> int:
        return self.size

    def add(self, env: int, obs, action, reward: float, next_obs, terminated: bool, truncated: bool) -> None:
        queue = self.pending[env]
        queue.append((obs, action, reward))
        if terminated or truncated:
            while queue:
                self._flush_oldest(queue, next_obs, terminated)
        elif len(queue) == self.n_step:
            self._flush_oldest(queue, next_obs, False)

    def _flush_oldest(self, queue: deque, next_obs, terminated: bool) -> None:
        """Store the oldest pending transition with the rewards gathered since."""
        total = sum(self.gamma ** k * step[2] for k, step in enumerate(queue))
        discount = 0.0 if terminated else self.gamma ** len(queue)
        obs, action, _ = queue.popleft()
        i = self.cursor
        self.obs[i], self.action[i], self.next_obs[i] = obs, action, next_obs
        self.reward[i], self.discount[i] = total, discount
        if self.tree is not None:
            self.tree.set(np.array([i]), self.max_priority ** self.alpha)
        self.cursor = (i + 1) % self.capacity
        self.size = min(self.size + 1, self.capacity)

    def sample(self, size: int, beta: float, device: str) -> Batch:
        if self.tree is None:
            index = self.rng.integers(self.size, size=size)
            weight = np.ones(size, np.float32)
        else:
            mass = (np.arange(size) + self.rng.random(size)) / size * self.tree.total
            index = np.minimum(self.tree.find(mass), self.size - 1)
            prob = self.tree.get(index) / self.tree.total
            weight = (self.size * prob) ** -beta
            weight = weight / weight.max()
        arrays = (self.obs, self.action, self.reward, self.next_obs, self.discount)
        tensors = [torch.as_tensor(a[index], device=device) for a in arrays]
        return Batch(*tensors, torch.as_tensor(weight, dtype=torch.float32, device=device), index)

    def update_priorities(self, index: np.ndarray, error: np.ndarray) -> None:
        if self.tree is None:
            return
        priority = np.abs(error) + 1e-6
        self.max_priority = max(self.max_priority, float(priority.max()))
        self.tree.set(index, priority ** self.alpha)
