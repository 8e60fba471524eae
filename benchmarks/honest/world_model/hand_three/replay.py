"""Replay buffer that stores transitions and samples fixed-length sequences."""

import numpy as np
import torch


class SequenceReplay:
    def __init__(self, capacity, obs_shape, action_dim, seq_len=50):
        self.capacity = capacity
        self.seq_len = seq_len
        self.obs = np.zeros((capacity, *obs_shape), dtype=np.uint8)
        self.actions = np.zeros((capacity, action_dim), dtype=np.float32)
        self.rewards = np.zeros(capacity, dtype=np.float32)
        self.terminals = np.zeros(capacity, dtype=np.float32)
        self.firsts = np.zeros(capacity, dtype=np.float32)
        self.idx = 0
        self.full = False

    def __len__(self):
        return self.capacity if self.full else self.idx

    def add(self, obs, action, reward, terminal, first):
        self.obs[self.idx] = obs
        self.actions[self.idx] = action
        self.rewards[self.idx] = reward
        self.terminals[self.idx] = terminal
        self.firsts[self.idx] = first
        self.idx = (self.idx + 1) % self.capacity
        self.full = self.full or self.idx == 0

    def _sample_start(self):
        while True:
            start = np.random.randint(len(self))
            idxs = (start + np.arange(self.seq_len)) % self.capacity
            if not self.full and start + self.seq_len > self.idx:
                continue
            # the write head must not lie within the sequence
            if self.full and self.idx in idxs[1:]:
                continue
            return idxs

    def sample(self, batch_size, device):
        idxs = np.stack([self._sample_start() for _ in range(batch_size)])
        to = lambda x: torch.as_tensor(x, device=device)
        obs = to(self.obs[idxs]).float() / 255.0 - 0.5
        firsts = to(self.firsts[idxs])
        firsts[:, 0] = 1.0
        return {
            "obs": obs,
            "action": to(self.actions[idxs]),
            "reward": to(self.rewards[idxs]),
            "discount": 1.0 - to(self.terminals[idxs]),
            "first": firsts,
        }
