"""Interaction with gymnasium and storage of the trajectories (NumPy side)."""
import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np


@jax.jit
def _downscale(screen):
    small = jax.image.resize(screen.astype(jnp.float32), (64, 64, 3), method="linear", antialias=True)
    return jnp.clip(small, 0, 255).astype(jnp.uint8)


class ScreenTask:
    """A gymnasium task watched through its renderer, 64x64x3; controls lie in [-1, 1]."""

    def __init__(self, task_name, skip=2, seed=0):
        self.task = gym.make(task_name, render_mode="rgb_array")
        space = self.task.action_space
        self.lower, self.upper = space.low, space.high
        self.control_size = space.shape[0]
        self.skip = skip
        self.first_seed = seed

    def _watch(self):
        return np.asarray(_downscale(np.array(self.task.render())))

    def begin(self):
        self.task.reset(seed=self.first_seed)
        self.first_seed = None
        return self._watch()

    def apply(self, control):
        """(screen, payoff, ended, cut)"""
        control = self.lower + (np.asarray(control) + 1) / 2 * (self.upper - self.lower)
        payoff_sum, ended, cut = 0.0, False, False
        for _ in range(self.skip):
            _, payoff, ended, cut, _ = self.task.step(control.astype(np.float32))
            payoff_sum += float(payoff)
            if ended or cut:
                break
        return self._watch(), payoff_sum, ended, cut


class TrajectoryBank:
    """Circular storage of single steps in the order in which they came.

    The control and payoff of a row are those that brought about its screen. `going` is 0
    where a task ended, `fresh` is 1 where one began; a drawn sequence may contain both.
    """

    def __init__(self, room, control_size, seed=0):
        self.rows = {
            "screen": np.zeros((room, 64, 64, 3), np.uint8),
            "control": np.zeros((room, control_size), np.float32),
            "payoff": np.zeros(room, np.float32),
            "going": np.zeros(room, np.float32),
            "fresh": np.zeros(room, np.float32),
        }
        self.room = room
        self.pointer = 0
        self.count = 0
        self.random = np.random.default_rng(seed)

    def store(self, **row):
        for name, content in row.items():
            self.rows[name][self.pointer] = content
        self.pointer = (self.pointer + 1) % self.room
        self.count = min(self.count + 1, self.room)

    def draw(self, n_seq, seq_len):
        """Arrays (seq_len, n_seq, ...)."""
        if self.count < seq_len:
            raise ValueError(f"{self.count} rows in the bank, {seq_len} are needed")
        offset = self.random.integers(0, self.count - seq_len + 1, n_seq)
        where = (self.pointer - self.count + offset[None] + np.arange(seq_len)[:, None]) % self.room
        drawn = {name: content[where] for name, content in self.rows.items()}
        drawn["fresh"][0] = 1.0  # nothing is known of what came before
        return drawn
