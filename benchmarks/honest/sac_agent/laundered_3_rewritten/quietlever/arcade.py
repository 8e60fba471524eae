"""The arcade: machines to play on, as streams of moments."""
from itertools import count
from typing import NamedTuple

import gymnasium
import numpy as np


class Moment(NamedTuple):
    seen: np.ndarray
    done: np.ndarray
    pay: np.ndarray
    then: np.ndarray
    dead: np.ndarray
    closed: np.ndarray
    counts: np.ndarray  # false where the machine only restarted during this step


def onto(machine_range, levers):
    """-1 becomes the lowest and 1 the highest setting that the machine has."""
    low, high = machine_range.low, machine_range.high
    return ((1 - levers) * low + (1 + levers) * high) / 2


class Arcade:
    def __init__(self, title, desks):
        self.hall = gymnasium.make_vec(title, num_envs=desks, vectorization_mode="sync")
        self.range = self.hall.single_action_space
        self.sight = int(np.prod(self.hall.single_observation_space.shape))
        self.levers = int(np.prod(self.range.shape))
        self.desks = desks

    def moments(self, choose, look, seed):
        """Endless stream; `choose` turns readings into levers, `look` is shown all readings."""
        seen = self.hall.reset(seed=seed)[0]
        look(seen)
        # gymnasium from 1.0 on restarts a closed machine in the step after
        counts = np.full(self.desks, True)
        while True:
            done = choose(seen)
            then, pay, dead, cut, _ = self.hall.step(onto(self.range, done))
            look(then)
            closed = dead | cut
            yield Moment(seen, done, pay, then, dead, closed, counts)
            seen, counts = then, ~closed

    def shut(self):
        self.hall.close()


def trial(title, choose, games, seed):
    """Mean and deviation of the score over some games of one machine."""
    machine = gymnasium.make(title)
    scores = np.zeros(games)
    for game in range(games):
        seen = machine.reset(seed=seed + game)[0]
        for _ in count():
            seen, pay, *over, _ = machine.step(onto(machine.action_space, choose(seen[np.newaxis])[0]))
            scores[game] += pay
            if any(over):
                break
    machine.close()
    return scores.mean().item(), scores.std().item()
