"""Prioritised replay with n-step returns."""
from collections import deque

import numpy as np


class SumTree:
    def __init__(self, capacity):
        self.leaves = 1 << (capacity - 1).bit_length()
        self.node = np.zeros(2 * self.leaves)

    def __getitem__(self, i):
        return self.node[self.leaves + i]

    def set(self, index, value):
        i = np.unique(np.asarray(index) + self.leaves)
        self.node[np.asarray(index) + self.leaves] = value
        while i[0] > 1:
            i = np.unique(i >> 1)
            self.node[i] = self.node[2 * i] + self.node[2 * i + 1]

    def find(self, mass):
        """Leaf under each cumulative mass, all walked down together."""
        mass = np.array(mass)
        i = np.ones(len(mass), dtype=np.int64)
        while i[0] < self.leaves:
            i = 2 * i
            left = self.node[i]
            right = mass >= left
            mass -= left * right
            i += right
        return i - self.leaves


class PrioritizedReplay:
    def __init__(self, capacity, shape, n_step=3, gamma=0.99, alpha=0.5, eps=1e-6):
        self.capacity, self.gamma, self.alpha, self.eps = capacity, gamma, alpha, eps
        self.obs = np.zeros((capacity, *shape), np.uint8)
        self.next_obs = np.zeros((capacity, *shape), np.uint8)
        self.action = np.zeros(capacity, np.int64)
        self.reward = np.zeros(capacity, np.float32)
        self.discount = np.zeros(capacity, np.float32)
        self.tree = SumTree(capacity)
        self.top = 1.0
        self.cursor = self.size = 0
        self.n_step = n_step
        self.pending = deque()

    def add(self, obs, action, reward, next_obs, terminated, truncated):
        self.pending.append((obs, action, reward))
        if terminated or truncated:
            while self.pending:
                self._flush(next_obs, terminated)
        elif len(self.pending) == self.n_step:
            self._flush(next_obs, False)

    def _flush(self, last_obs, terminated):
        """Store the oldest pending transition with the return gathered since."""
        obs, action, _ = self.pending[0]
        i = self.cursor
        self.obs[i], self.action[i], self.next_obs[i] = obs, action, last_obs
        self.reward[i] = sum(self.gamma ** k * r for k, (_, _, r) in enumerate(self.pending))
        self.discount[i] = 0.0 if terminated else self.gamma ** len(self.pending)
        self.tree.set([i], self.top)
        self.pending.popleft()
        self.cursor = (i + 1) % self.capacity
        self.size = min(self.size + 1, self.capacity)

    def sample(self, n, beta):
        mass = (np.arange(n) + np.random.rand(n)) * (self.tree.node[1] / n)
        index = np.minimum(self.tree.find(mass), self.size - 1)
        weight = (self.size * self.tree[index] / self.tree.node[1]) ** -beta
        batch = (self.obs[index], self.action[index], self.reward[index],
                 self.next_obs[index], self.discount[index])
        return index, (weight / weight.max()).astype(np.float32), batch

    def update(self, index, error):
        priority = (np.abs(error) + self.eps) ** self.alpha
        self.top = max(self.top, priority.max())
        self.tree.set(index, priority)
