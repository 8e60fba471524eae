import numpy as np
import torch


class ReplayBuffer:
    """Ring buffer of transitions kept as preallocated arrays."""

    def __init__(self, capacity, obs_dim, act_dim, device="cpu", seed=None):
        self.capacity, self.device = capacity, device
        self.rng = np.random.default_rng(seed)
        self.columns = tuple(np.zeros((capacity, *shape), dtype=np.float32)
                             for shape in ((obs_dim,), (act_dim,), (), (obs_dim,), ()))
        self.cursor = 0
        self.count = 0

    def __len__(self):
        return self.count

    def add(self, obs, action, reward, next_obs, terminal):
        for column, value in zip(self.columns, (obs, action, reward, next_obs, terminal)):
            column[self.cursor] = value
        self.cursor = (self.cursor + 1) % self.capacity
        self.count = min(self.count + 1, self.capacity)

    def sample(self, batch_size):
        rows = self.rng.integers(self.count, size=batch_size)
        return tuple(torch.as_tensor(column[rows], device=self.device) for column in self.columns)
