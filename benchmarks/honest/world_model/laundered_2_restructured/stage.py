"""The outside world, and the record of what was lived through in it."""
from typing import NamedTuple

import gymnasium
import numpy as np
import torch

from vision import PIXEL_SHAPE, shrink


class Outcome(NamedTuple):
    payoff: float
    frame: np.ndarray
    dead: bool
    over: bool


class Stage(gymnasium.Wrapper):
    """Shows frames in place of observations and holds every action for some ticks."""

    def __init__(self, task, seed=0, hold=2):
        super().__init__(gymnasium.make(task, render_mode="rgb_array"))
        box = self.env.action_space
        self.action_dim = box.shape[0]
        self.middle, self.half = box.low + (box.high - box.low) / 2, (box.high - box.low) / 2
        self.hold = hold
        self.pending_seed = seed

    def look(self):
        return shrink(self.env.render())

    def open(self):
        seed, self.pending_seed = self.pending_seed, None
        self.env.reset(seed=seed)
        return self.look()

    def play(self, action):
        command = (self.middle + np.asarray(action) * self.half).astype(np.float32)
        payoffs = []
        dead = cut = False
        while len(payoffs) < self.hold and not (dead or cut):
            _, payoff, dead, cut, _ = self.env.step(command)
            payoffs.append(float(payoff))
        return Outcome(sum(payoffs), self.look(), dead, dead or cut)


class Diary:
    def __init__(self, action_dim, limit, seed=0):
        self.limit = limit
        self.written = 0
        self.rng = np.random.default_rng(seed)
        self.frames = np.zeros((limit, *PIXEL_SHAPE), dtype=np.uint8)
        self.actions = np.zeros((limit, action_dim), dtype=np.float32)
        self.payoffs, self.alive, self.fresh = np.zeros((3, limit), dtype=np.float32)

    def __len__(self):
        return min(self.written, self.limit)

    def write_opening(self, frame):
        self._write(frame, 0.0, 0.0, 1.0, 1.0)

    def write(self, action, outcome):
        self._write(outcome.frame, action, outcome.payoff, 1.0 - outcome.dead, 0.0)

    def _write(self, frame, action, payoff, alive, fresh):
        at = self.written % self.limit
        self.frames[at] = frame
        self.actions[at] = action
        self.payoffs[at] = payoff
        self.alive[at] = alive
        self.fresh[at] = fresh
        self.written += 1

    def pages(self, device, span, count):
        """`count` stretches of `span` entries, time first; borders of episodes are ignored."""
        if span > len(self):
            raise ValueError(f"diary too short: {len(self)} entries, {span} wanted")
        oldest = self.written - len(self)
        begins = oldest + self.rng.integers(len(self) - span + 1, size=count)
        at = np.add.outer(np.arange(span), begins) % self.limit

        def fetch(column):
            return torch.from_numpy(column[at]).to(device)

        fresh = fetch(self.fresh)
        fresh[0].fill_(1.0)
        return dict(frames=fetch(self.frames), actions=fetch(self.actions),
                    payoffs=fetch(self.payoffs), alive=fetch(self.alive), fresh=fresh)
