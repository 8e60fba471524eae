import numpy as np
import torch


class ReplayBuffer:
    """Fixed-size ring of transitions kept in numpy arrays."""

    def __init__(self, obs_dim, act_dim, capacity=1_000_000, device="cpu"):
        self.capacity, self.device = capacity, device
        self.obs = np.zeros((capacity, obs_dim), dtype=np.float32)
        self.next_obs = np.zeros((capacity, obs_dim), dtype=np.float32)
        self.actions = np.zeros((capacity, act_dim), dtype=np.float32)
        self.rewards = np.zeros((capacity, 1), dtype=np.float32)
        self.terminals = np.zeros((capacity, 1), dtype=np.float32)
        self.cursor = 0
        self.count = 0

    def __len__(self):
        return self.count

    def add(self, obs, action, reward, next_obs, terminal):
        i = self.cursor
        self.obs[i] = obs
        self.actions[i] = action
        self.rewards[i] = reward
        self.next_obs[i] = next_obs
        self.terminals[i] = terminal
        self.cursor = (i + 1) % self.capacity
        self.count = min(self.count + 1, self.capacity)

    def sample(self, batch_size):
        rows = np.random.randint(self.count, size=batch_size)
        arrays = (self.obs, self.actions, self.rewards, self.next_obs, self.terminals)
        return [torch.from_numpy(a[rows]).to(self.device) for a in arrays]
