"""The parts with weights, gathered in one module, and the way they choose actions."""
import math

import torch
from torch import nn
from torch.nn import functional as fn

from latent import Perceptron, Transition, balanced_divergence, forget
from vision import Brush, Eye, normalize

HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)


class Dreamworld(nn.Module):
    def __init__(self, action_dim):
        super().__init__()
        self.eye = Eye()
        self.transition = Transition(action_dim, self.eye.width_out)
        dim = self.transition.vector_dim
        self.brush = Brush(dim)
        self.payoff = Perceptron(1, dim)
        self.survival = Perceptron(1, dim)

    def errors(self, frames, actions, payoffs, alive, fresh):
        """Single terms of the loss, the KL for the log, and the sighted moments."""
        target = normalize(frames)
        blind, sighted = self.transition.follow(self.eye(target), actions, fresh)
        vector = sighted.vector
        pull, kl = balanced_divergence(blind, sighted)
        gap = self.brush(vector) - target
        terms = {
            "frames": gap.square().flatten(-3).sum(-1).mean() / 2,
            "payoffs": fn.mse_loss(self.payoff.scalar(vector), payoffs) / 2,
            "alive": bernoulli_error(self.survival.scalar(vector), alive),
            "pull": pull,
        }
        return terms, kl, sighted


def bernoulli_error(logit, truth):
    return (fn.softplus(logit) - truth * logit).mean()


class Policy(Perceptron):
    def __init__(self, action_dim, width_in):
        super().__init__(2 * action_dim, width_in, hidden_layers=3)

    def spread(self, vector):
        """Centre and width of the Gaussian before it is squashed."""
        centre, pre = torch.tensor_split(self(vector), 2, dim=-1)
        return 5 * (centre / 5).tanh(), 0.01 + fn.softplus(1.0 + pre)

    def best(self, vector):
        centre, _ = self.spread(vector)
        return centre.tanh()

    def gamble(self, vector):
        """A random action, and the logarithm of its density."""
        centre, width = self.spread(vector)
        raw = centre + width * torch.randn_like(centre)
        gauss = -0.5 * ((raw - centre) / width).square() - width.log() - HALF_LOG_TAU
        squash = 2 * (math.log(2) - raw - fn.softplus(-2 * raw))
        return raw.tanh(), torch.sum(gauss - squash, -1)


class Brain(nn.Module):
    def __init__(self, action_dim):
        super().__init__()
        self.action_dim = action_dim
        self.dreamworld = Dreamworld(action_dim)
        dim = self.dreamworld.transition.vector_dim
        self.policy = Policy(action_dim, dim)
        self.value = Perceptron(1, dim, hidden_layers=3)
        self.old_value = Perceptron(1, dim, hidden_layers=3)
        self.old_value.load_state_dict(self.value.state_dict())
        for weight in self.old_value.parameters():
            weight.requires_grad = False


class Player:
    """Plays one episode after another; it carries the memory so that nobody else must."""

    def __init__(self, brain, noise=None):
        self.brain = brain
        self.noise = noise
        self.device = next(brain.parameters()).device
        self.forget_all()

    def forget_all(self):
        self.moment = None
        self.last = None

    @torch.no_grad()
    def __call__(self, frame):
        """With noise the action is drawn and shaken, without it is the best one."""
        transition, eye = self.brain.dreamworld.transition, self.brain.dreamworld.eye
        begins = self.moment is None
        if begins:
            self.moment = transition.nothing(self.device, 1)
            self.last = torch.zeros((1, self.brain.action_dim), device=self.device)
        fresh = torch.tensor([1.0 if begins else 0.0], device=self.device)
        code = eye(normalize(torch.as_tensor(frame, device=self.device).unsqueeze(0)))
        blind = transition.blind(*forget(self.last, self.moment, fresh))
        self.moment = transition.sighted(code, blind)
        if self.noise is None:
            action = self.brain.policy.best(self.moment.vector)
        else:
            action, _ = self.brain.policy.gamble(self.moment.vector)
            action = action + self.noise * torch.randn_like(action)
        self.last = torch.clip(action, -1, 1)
        return self.last.squeeze(0).cpu().numpy()
