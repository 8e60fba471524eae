"""The networks of the rover and the helpers that act on them."""
import math

import torch
from torch import nn
from torch.nn import functional as F


class Perceptron(nn.Module):
    """Two hidden layers of equal width with rectifiers between them."""

    def __init__(self, out_features, in_features, width):
        super().__init__()
        self.inp = nn.Linear(in_features, width)
        self.mid = nn.Linear(width, width)
        self.out = nn.Linear(width, out_features)

    def forward(self, x):
        x = F.relu(self.inp(x))
        x = F.relu(self.mid(x))
        return self.out(x)


class Driver(Perceptron):
    """Gives the location and the scale of the Gaussian before squashing."""

    def __init__(self, width, n_act, n_obs):
        super().__init__(2 * n_act, n_obs, width)
        self.n_act = n_act

    def forward(self, o):
        raw = super().forward(o)
        loc = raw[..., :self.n_act]
        scale = torch.clamp(raw[..., self.n_act:], min=-5.0, max=2.0).exp()
        return loc, scale


class Appraisers(nn.Module):
    """A list of independent value networks, stacked on the first axis of the result."""

    def __init__(self, width, n_act, n_obs, how_many=2):
        super().__init__()
        self.heads = nn.ModuleList(Perceptron(1, n_obs + n_act, width) for _ in range(how_many))

    def forward(self, a, o):
        both = torch.cat((o, a), dim=-1)
        return torch.stack([head(both)[..., 0] for head in self.heads])


def squash_sample(driver, o):
    """Reparametrised action with the logarithm of its density."""
    loc, scale = driver(o)
    noise = torch.randn_like(loc)
    pre = loc + scale * noise
    log_gauss = -0.5 * noise.pow(2) - scale.log() - 0.5 * math.log(2 * math.pi)
    log_jacobian = 2.0 * math.log(2.0) - 2.0 * pre - 2.0 * F.softplus(-2.0 * pre)
    density = torch.sum(log_gauss - log_jacobian, dim=-1)
    return torch.tanh(pre), density


def most_likely(driver, o):
    return torch.tanh(driver(o)[0])


def follow(slow, fast, rate):
    """Move the slow copy a little towards the fast network."""
    fast_weights = dict(fast.named_parameters())
    with torch.no_grad():
        for name, weight in slow.named_parameters():
            weight.mul_(1.0 - rate).add_(fast_weights[name], alpha=rate)


def minimise(cost, adam):
    adam.zero_grad()
    cost.backward()
    adam.step()
