"""Probability laws over actions, as plain formulas on a tensor of outputs."""

import math
from typing import NamedTuple

import gymnasium as gym
import torch


class Choice:
    """One of n actions; the output holds unnormalised log-probabilities."""

    def __init__(self, space):
        self.outputs, self.event = int(space.n), ()
        self.dtype = torch.int64

    def draw(self, out, _log_scale):
        return torch.multinomial(torch.softmax(out, -1), 1, replacement=True)[:, 0]

    def score(self, out, _log_scale, action):
        """Log-probability of the action, and the entropy of the law."""
        logp = out - torch.logsumexp(out, -1, keepdim=True)
        chosen = torch.gather(logp, -1, action[..., None])[..., 0]
        return chosen, -torch.einsum("...a,...a->...", logp.exp(), logp)


class Bell:
    """Independent normal variables with a spread that does not depend on the state."""

    def __init__(self, space):
        self.outputs = int(space.shape[0])
        self.event = (self.outputs,)
        self.dtype = torch.float32

    def draw(self, out, log_scale):
        return torch.normal(out, log_scale.exp().expand_as(out))

    def score(self, out, log_scale, action):
        z = (action - out) * torch.exp(-log_scale)
        const = 0.5 * math.log(2 * math.pi)
        logp = torch.sum(-0.5 * z * z - log_scale - const, -1)
        entropy = torch.sum(0.5 + const + log_scale)
        return logp, entropy.expand_as(logp)


def law_for(space):
    for kind, law in ((gym.spaces.Discrete, Choice), (gym.spaces.Box, Bell)):
        if isinstance(space, kind):
            return law(space)
    raise TypeError(f"no law for a space of type {type(space).__name__}")


class View(NamedTuple):
    """What the network says about a stretch of observations."""

    out: torch.Tensor
    worth: torch.Tensor
    state: torch.Tensor
