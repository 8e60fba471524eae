"""The hidden state of the dream and how it moves."""
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as fn


class Perceptron(nn.Module):
    """Fully connected net with ELU between its layers."""

    def __init__(self, width_out, width_in, hidden_layers=2, units=256):
        super().__init__()
        dims = [width_in] + [units] * hidden_layers
        self.hidden = nn.ModuleList(nn.Linear(d, units) for d in dims[:-1])
        self.out = nn.Linear(dims[-1], width_out)

    def forward(self, x):
        for layer in self.hidden:
            x = fn.elu(layer(x))
        return self.out(x)

    def scalar(self, x):
        return self(x)[..., 0]


@dataclass
class Moment:
    """h: recurrent memory; z: sample; mu, sigma: what z was sampled from."""

    z: torch.Tensor
    h: torch.Tensor
    mu: torch.Tensor
    sigma: torch.Tensor

    @property
    def vector(self):
        return torch.cat((self.h, self.z), -1)

    def scaled(self, factor):
        return Moment(self.z * factor, self.h * factor, self.mu * factor, self.sigma * factor)

    def as_starts(self):
        """Cut from the graph, with time and batch merged into one axis."""
        def merge(x):
            return x.detach().reshape(-1, x.shape[-1])

        return Moment(z=merge(self.z), h=merge(self.h), mu=merge(self.mu), sigma=merge(self.sigma))

    @staticmethod
    def join(moments):
        def along_time(field):
            return torch.stack([getattr(m, field) for m in moments], 0)

        return Moment(**{field: along_time(field) for field in ("z", "h", "mu", "sigma")})

    @staticmethod
    def sampled(h, stats, floor):
        mu, pre = torch.tensor_split(stats, 2, dim=-1)
        sigma = floor + fn.softplus(pre)
        return Moment(z=torch.addcmul(mu, sigma, torch.randn_like(mu)), h=h, mu=mu, sigma=sigma)


class Transition(nn.Module):
    def __init__(self, action_dim, code_dim, z_dim=30, h_dim=200, units=200, floor=0.1):
        super().__init__()
        self.floor = floor
        self.z_dim = z_dim
        self.h_dim = h_dim
        self.entry = nn.Linear(z_dim + action_dim, units)
        self.memory = nn.GRUCell(input_size=units, hidden_size=h_dim)
        self.blind_stats = Perceptron(2 * z_dim, h_dim, hidden_layers=1, units=units)
        self.sighted_stats = Perceptron(2 * z_dim, h_dim + code_dim, hidden_layers=1, units=units)

    @property
    def vector_dim(self):
        return self.z_dim + self.h_dim

    def nothing(self, device, rows):
        h = torch.zeros((rows, self.h_dim), device=device)
        z = torch.zeros((rows, self.z_dim), device=device)
        return Moment(z=z, h=h, mu=z.clone(), sigma=z.clone())

    def blind(self, action, moment):
        x = fn.elu(self.entry(torch.cat((moment.z, action), -1)))
        h = self.memory(x, moment.h)
        return Moment.sampled(h, self.blind_stats(h), self.floor)

    def sighted(self, code, blind):
        """Correct a blind step by the code of the picture that was really seen."""
        stats = self.sighted_stats(torch.cat((blind.h, code), -1))
        return Moment.sampled(blind.h, stats, self.floor)

    def follow(self, codes, actions, fresh):
        """Run through a recorded sequence, time first. Gives all (blind, sighted) moments."""
        moment = self.nothing(codes.device, codes.shape[1])
        trail = []
        for t in range(codes.shape[0]):
            blind = self.blind(*forget(actions[t], moment, fresh[t]))
            moment = self.sighted(codes[t], blind)
            trail.append((blind, moment))
        blinds, sighteds = zip(*trail)
        return Moment.join(blinds), Moment.join(sighteds)


def forget(action, moment, fresh):
    """Wipe the rows in which something new begins."""
    kept = (1.0 - fresh).unsqueeze(-1)
    return action * kept, moment.scaled(kept)


def gauss_divergence(p_mu, p_sigma, q_mu, q_sigma):
    ratio = (p_sigma / q_sigma).square()
    shift = ((p_mu - q_mu) / q_sigma).square()
    return 0.5 * (ratio + shift - 1 - ratio.log()).sum(-1)


def balanced_divergence(blind, sighted, floor=1.0, share=0.8):
    """The blind side gets `share` of the pull, the sighted side what is left."""
    teach_blind = gauss_divergence(
        sighted.mu.detach(), sighted.sigma.detach(), blind.mu, blind.sigma).mean()
    teach_sighted = gauss_divergence(
        sighted.mu, sighted.sigma, blind.mu.detach(), blind.sigma.detach()).mean()
    mixed = torch.lerp(teach_sighted.clamp_min(floor), teach_blind.clamp_min(floor), share)
    return mixed, teach_blind.detach()
