"""Pixel environment wrapper and the sequence replay buffer."""
import gymnasium as gym
import numpy as np
import torch
import torch.nn.functional as F


class PixelEnv:
    """Renders a continuous-control task to 64x64 uint8 frames; actions live in [-1, 1]."""

    def __init__(self, name, action_repeat=2, seed=0):
        self.env = gym.make(name, render_mode="rgb_array")
        self.repeat, self.seed = action_repeat, seed
        box = self.env.action_space
        self.low, self.high, self.action_dim = box.low, box.high, box.shape[0]

    def _frame(self):
        frame = torch.from_numpy(np.array(self.env.render())).permute(2, 0, 1).unsqueeze(0).float()
        return F.interpolate(frame, size=(64, 64), mode="area").squeeze(0).byte().numpy()

    def reset(self):
        self.env.reset(seed=self.seed)
        self.seed = None  # seed only the first episode
        return self._frame()

    def step(self, action):
        native = self.low + (action + 1.0) * 0.5 * (self.high - self.low)
        total, terminated, truncated = 0.0, False, False
        for _ in range(self.repeat):
            _, reward, terminated, truncated, _ = self.env.step(native.astype(np.float32))
            total += float(reward)
            if terminated or truncated:
                break
        return self._frame(), total, terminated, truncated


class SequenceReplay:
    """Ring buffer of steps. Row t: frame t, plus the action and reward that led to it."""

    def __init__(self, capacity, action_dim, seed=0):
        self.data = {
            "image": np.zeros((capacity, 3, 64, 64), np.uint8),
            "action": np.zeros((capacity, action_dim), np.float32),
            "reward": np.zeros(capacity, np.float32),
            "cont": np.zeros(capacity, np.float32),
            "first": np.zeros(capacity, np.float32),
        }
        self.capacity, self.head, self.size = capacity, 0, 0
        self.rng = np.random.default_rng(seed)

    def add(self, **row):
        for key, value in row.items():
            self.data[key][self.head] = value
        self.head = (self.head + 1) % self.capacity
        self.size = min(self.size + 1, self.capacity)

    def sample(self, batch, length, device):
        oldest = self.head if self.size == self.capacity else 0
        begin = self.rng.integers(0, self.size - length + 1, size=(batch, 1))
        index = (oldest + begin + np.arange(length)) % self.capacity
        out = {k: torch.from_numpy(v[index]).to(device) for k, v in self.data.items()}
        out["image"] = out["image"].float() / 255.0 - 0.5
        out["first"][:, 0] = 1.0
        return out
