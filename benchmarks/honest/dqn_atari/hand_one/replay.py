"""Prioritised n-step replay."""
from collections import deque

import numpy as np


class SumTree:
    """Binary tree in one array: leaf i sits at size + i, node k sums 2k and 2k + 1."""

    def __init__(self, capacity):
        self.size = 1 << (capacity - 1).bit_length()
        self.nodes = np.zeros(2 * self.size)

    @property
    def total(self):
        return self.nodes[1]

    def __getitem__(self, index):
        return self.nodes[self.size + index]

    def update(self, index, value):
        node = index + self.size
        self.nodes[node] = value
        while node > 1:
            node //= 2
            self.nodes[node] = self.nodes[2 * node] + self.nodes[2 * node + 1]

    def find(self, mass):
        node = 1
        while node < self.size:
            node *= 2
            if mass >= self.nodes[node] and self.nodes[node + 1] > 0:
                mass -= self.nodes[node]
                node += 1
        return node - self.size


class PrioritizedReplay:
    def __init__(self, capacity, obs_shape, n_step=3, gamma=0.99, alpha=0.5):
        self.capacity, self.n_step, self.gamma, self.alpha = capacity, n_step, gamma, alpha
        self.obs = np.empty((capacity, *obs_shape), np.uint8)
        self.next_obs = np.empty((capacity, *obs_shape), np.uint8)
        self.action = np.empty(capacity, np.int64)
        self.reward = np.empty(capacity, np.float32)
        self.discount = np.empty(capacity, np.float32)
        self.tree = SumTree(capacity)
        self.pending = deque()
        self.count = self.cursor = 0
        self.top_priority = 1.0

    def __len__(self):
        return self.count

    def add(self, obs, action, reward, next_obs, terminated, truncated):
        self.pending.append((obs, action, reward))
        if terminated or truncated:
            while self.pending:
                self._commit(next_obs, terminated)
        elif len(self.pending) == self.n_step:
            self._commit(next_obs, False)

    def _commit(self, next_obs, terminated):
        i = self.cursor
        rewards = [r for _, _, r in self.pending]
        self.obs[i], self.action[i], _ = self.pending.popleft()
        self.next_obs[i] = next_obs
        self.reward[i] = sum(r * self.gamma**k for k, r in enumerate(rewards))
        self.discount[i] = 0.0 if terminated else self.gamma ** len(rewards)
        self.tree.update(i, self.top_priority**self.alpha)
        self.cursor = (i + 1) % self.capacity
        self.count = min(self.count + 1, self.capacity)

    def sample(self, batch_size, beta):
        # One draw per equal slice of the probability mass.
        mass = (np.arange(batch_size) + np.random.rand(batch_size)) * self.tree.total / batch_size
        idx = np.array([self.tree.find(m) for m in mass])
        prob = self.tree[idx] / self.tree.total
        weight = (self.count * prob) ** -beta
        weight = (weight / weight.max()).astype(np.float32)
        fields = (self.obs, self.action, self.reward, self.next_obs, self.discount)
        return idx, weight, [f[idx] for f in fields]

    def reprioritize(self, idx, errors, eps=1e-6):
        for i, e in zip(idx, np.abs(errors) + eps):
            self.tree.update(i, e**self.alpha)
            self.top_priority = max(self.top_priority, e)
