"""Pixel environment with action repeat, and the sequence replay buffer."""
import gymnasium as gym
import numpy as np
import torch
import torch.nn.functional as F


class PixelEnv:
    """Continuous-control gymnasium task seen as 64x64 frames; actions in [-1, 1]."""

    def __init__(self, name, repeat=2, seed=0):
        self.env = gym.make(name, render_mode="rgb_array")
        self.low, self.high = self.env.action_space.low, self.env.action_space.high
        self.n_action = self.env.action_space.shape[0]
        self.repeat, self.seed = repeat, seed

    def _frame(self):
        frame = torch.from_numpy(np.array(self.env.render())).permute(2, 0, 1)[None].float()
        return F.interpolate(frame, size=(64, 64), mode="area")[0].byte().numpy()

    def reset(self):
        self.env.reset(seed=self.seed)
        self.seed = None  # seed the first episode only
        return self._frame()

    def step(self, action):
        """Returns frame, summed reward, terminated, truncated."""
        action = self.low + (np.asarray(action) + 1) / 2 * (self.high - self.low)
        total, terminated, truncated = 0.0, False, False
        for _ in range(self.repeat):
            _, reward, terminated, truncated, _ = self.env.step(action.astype(np.float32))
            total += float(reward)
            if terminated or truncated:
                break
        return self._frame(), total, terminated, truncated


class Replay:
    """Ring buffer of steps in order of arrival.

    A step holds a frame, the action and reward that led to it, whether the episode goes
    on from here, and whether it opens an episode. Sequences may run across episodes.
    """

    def __init__(self, capacity, n_action, seed=0):
        self.data = {
            "image": np.zeros((capacity, 3, 64, 64), np.uint8),
            "action": np.zeros((capacity, n_action), np.float32),
            "reward": np.zeros(capacity, np.float32),
            "cont": np.zeros(capacity, np.float32),
            "first": np.zeros(capacity, np.float32),
        }
        self.capacity, self.head, self.size = capacity, 0, 0
        self.rng = np.random.default_rng(seed)

    def add(self, **step):
        for key, value in step.items():
            self.data[key][self.head] = value
        self.head = (self.head + 1) % self.capacity
        self.size = min(self.size + 1, self.capacity)

    def sample(self, batch, length, device):
        """Time-major tensors of shape (length, batch, ...)."""
        if self.size < length:
            raise ValueError(f"only {self.size} steps stored, need {length}")
        start = self.rng.integers(0, self.size - length + 1, batch)
        index = (self.head - self.size + start[None] + np.arange(length)[:, None]) % self.capacity
        out = {k: torch.as_tensor(v[index], device=device) for k, v in self.data.items()}
        out["first"][0] = 1.0  # the memory before the sequence is unknown
        return out
