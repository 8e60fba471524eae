"""Replay buffer with n-step returns, optional prioritisation, and running statistics."""
from __future__ import annotations

from collections import deque

import numpy as np
import torch


class RunningNorm:
    """Mean and variance of a stream of batches, merged in parallel."""

    def __init__(self, shape: tuple[int, ...], clip: float = 10.0):
        self.mean = np.zeros(shape, dtype=np.float64)
        self.var = np.ones(shape, dtype=np.float64)
        self.count = 1e-4
        self.clip = clip

    def update(self, x: np.ndarray) -> None:
        n = x.shape[0]
        delta = x.mean(axis=0) - self.mean
        total = self.count + n
        m2 = self.var * self.count + x.var(axis=0) * n + delta**2 * self.count * n / total
        self.mean = self.mean + delta * n / total
        self.var = m2 / total
        self.count = total

    def __call__(self, x: np.ndarray) -> np.ndarray:
        z = (x - self.mean) / np.sqrt(self.var + 1e-8)
        return np.clip(z, -self.clip, self.clip).astype(np.float32)

    def state_dict(self) -> dict:
        return {"mean": self.mean.tolist(), "var": self.var.tolist(), "count": float(self.count)}

    def load_state_dict(self, state: dict) -> None:
        self.mean, self.var = np.array(state["mean"]), np.array(state["var"])
        self.count = state["count"]


class SumTree:
    """Array-backed binary tree whose inner nodes hold the sum of their children."""

    def __init__(self, capacity: int):
        self.leaves = 1
        while self.leaves < capacity:
            self.leaves *= 2
        self.nodes = np.zeros(2 * self.leaves, dtype=np.float64)

    @property
    def total(self) -> float:
        return self.nodes[1]

    def set(self, idx: np.ndarray, values: np.ndarray) -> None:
        node = np.asarray(idx) + self.leaves
        self.nodes[node] = values
        while node[0] > 1:
            node = np.unique(node // 2)
            self.nodes[node] = self.nodes[2 * node] + self.nodes[2 * node + 1]

    def find(self, mass: np.ndarray) -> np.ndarray:
        node = np.ones(len(mass), dtype=np.int64)
        mass = mass.copy()
        while node[0] < self.leaves:
            left = 2 * node
            go_right = mass > self.nodes[left]
            mass -= np.where(go_right, self.nodes[left], 0.0)
            node = left + go_right
        return node - self.leaves

    def get(self, idx: np.ndarray) -> np.ndarray:
        return self.nodes[idx + self.leaves]


class ReplayBuffer:
    """Stores raw observations; n-step transitions are assembled per environment on insertion."""

    def __init__(self, obs_dim: int, act_dim: int, capacity: int, num_envs: int, gamma: float,
                 n_step: int = 1, prioritized: bool = False, alpha: float = 0.6, seed: int = 0):
        self.obs = np.zeros((capacity, obs_dim), dtype=np.float32)
        self.next_obs = np.zeros((capacity, obs_dim), dtype=np.float32)
        self.act = np.zeros((capacity, act_dim), dtype=np.float32)
        self.ret = np.zeros(capacity, dtype=np.float32)
        self.discount = np.zeros(capacity, dtype=np.float32)  # zero after a true terminal
        self.capacity, self.gamma, self.n_step, self.alpha = capacity, gamma, n_step, alpha
        self.pending: list[deque] = [deque() for _ in range(num_envs)]
        self.tree = SumTree(capacity) if prioritized else None
        self.max_priority = 1.0
        self.rng = np.random.default_rng(seed)
        self.pos = self.size = 0

    def __len__(self) -> int:
        return self.size

    def add(self, env: int, obs, act, reward: float, next_obs, terminated: bool, truncated: bool) -> None:
        queue = self.pending[env]
        queue.append((obs, act, reward))
        if terminated or truncated:
            while queue:
                self._flush(queue, next_obs, terminated)
        elif len(queue) == self.n_step:
            self._flush(queue, next_obs, False)

    def _flush(self, queue: deque, next_obs, terminated: bool) -> None:
        ret = sum(self.gamma**k * r for k, (_, _, r) in enumerate(queue))
        discount = 0.0 if terminated else self.gamma ** len(queue)
        obs, act, _ = queue.popleft()
        i = self.pos
        self.obs[i], self.act[i], self.next_obs[i] = obs, act, next_obs
        self.ret[i], self.discount[i] = ret, discount
        if self.tree is not None:
            self.tree.set(np.array([i]), np.array([self.max_priority**self.alpha]))
        self.pos = (i + 1) % self.capacity
        self.size = min(self.size + 1, self.capacity)

    def sample(self, batch: int, norm: RunningNorm, device, beta: float = 0.4) -> tuple[dict, np.ndarray]:
        if self.tree is None:
            idx = self.rng.integers(self.size, size=batch)
            weights = np.ones(batch, dtype=np.float32)
        else:
            edges = (np.arange(batch) + self.rng.random(batch)) / batch
            idx = np.minimum(self.tree.find(edges * self.tree.total), self.size - 1)
            prob = self.tree.get(idx) / self.tree.total
            weights = (self.size * prob) ** -beta
            weights = (weights / weights.max()).astype(np.float32)
        arrays = {"obs": norm(self.obs[idx]), "next_obs": norm(self.next_obs[idx]), "act": self.act[idx],
                  "ret": self.ret[idx], "discount": self.discount[idx], "weight": weights}
        return {k: torch.as_tensor(v, device=device) for k, v in arrays.items()}, idx

    def update_priorities(self, idx: np.ndarray, td_error: np.ndarray) -> None:
        if self.tree is None:
            return
        priority = np.abs(td_error) + 1e-6
        self.max_priority = max(self.max_priority, float(priority.max()))
        self.tree.set(idx, priority**self.alpha)
