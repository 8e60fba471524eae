"""Network pieces: image encoder/decoder, recurrent state-space model, policy distribution."""
import math
from collections import namedtuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Independent, Normal, kl_divergence

# One latent state. `mean` and `std` describe the Gaussian that `stoch` was drawn from.
State = namedtuple("State", "deter stoch mean std")


def features(state):
    return torch.cat([state.deter, state.stoch], dim=-1)


def map_state(fn, state):
    return State(*(fn(part) for part in state))


def stack_states(states):
    return State(*(torch.stack(parts) for parts in zip(*states)))


def mlp(n_in, n_out, width=256, depth=2):
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(n_in, width), nn.ELU()]
        n_in = width
    return nn.Sequential(*layers, nn.Linear(n_in, n_out))


class ImageEncoder(nn.Module):
    """(..., 3, 64, 64) float images -> (..., size)."""

    def __init__(self, base=32):
        super().__init__()
        widths = [3, base, 2 * base, 4 * base, 8 * base]
        layers = []
        for a, b in zip(widths, widths[1:]):
            layers += [nn.Conv2d(a, b, 4, stride=2), nn.ELU()]
        self.net = nn.Sequential(*layers, nn.Flatten())
        self.size = 8 * base * 2 * 2

    def forward(self, image):
        out = self.net(image.reshape(-1, *image.shape[-3:]))
        return out.reshape(*image.shape[:-3], self.size)


class ImageDecoder(nn.Module):
    def __init__(self, n_in, base=32):
        super().__init__()
        self.first = nn.Linear(n_in, 32 * base)
        self.net = nn.Sequential(
            nn.Unflatten(1, (32 * base, 1, 1)),
            nn.ConvTranspose2d(32 * base, 4 * base, 5, stride=2), nn.ELU(),
            nn.ConvTranspose2d(4 * base, 2 * base, 5, stride=2), nn.ELU(),
            nn.ConvTranspose2d(2 * base, base, 6, stride=2), nn.ELU(),
            nn.ConvTranspose2d(base, 3, 6, stride=2),
        )

    def forward(self, feat):
        image = self.net(self.first(feat).reshape(-1, self.first.out_features))
        return image.reshape(*feat.shape[:-1], 3, 64, 64)


class RSSM(nn.Module):
    def __init__(self, n_embed, n_action, n_deter=200, n_stoch=30, width=200, min_std=0.1):
        super().__init__()
        self.n_deter, self.n_stoch, self.min_std = n_deter, n_stoch, min_std
        self.inp = nn.Sequential(nn.Linear(n_stoch + n_action, width), nn.ELU())
        self.gru = nn.GRUCell(width, n_deter)
        self.prior_net = mlp(n_deter, 2 * n_stoch, width, depth=1)
        self.post_net = mlp(n_deter + n_embed, 2 * n_stoch, width, depth=1)

    def initial(self, batch, device):
        def zeros(n):
            return torch.zeros(batch, n, device=device)
        return State(zeros(self.n_deter), *(zeros(self.n_stoch) for _ in range(3)))

    def _draw(self, deter, params):
        mean, raw = params.chunk(2, dim=-1)
        std = F.softplus(raw) + self.min_std
        return State(deter, mean + std * torch.randn_like(std), mean, std)

    def imagine(self, state, action):
        """One step without looking at the observation."""
        deter = self.gru(self.inp(torch.cat([state.stoch, action], dim=-1)), state.deter)
        return self._draw(deter, self.prior_net(deter))

    def observe(self, state, action, embed, first):
        """One step with an observation; returns (posterior, prior). `first` resets memory."""
        keep = 1.0 - first[:, None]
        prior = self.imagine(map_state(lambda x: x * keep, state), action * keep)
        post = self._draw(prior.deter, self.post_net(torch.cat([prior.deter, embed], dim=-1)))
        return post, prior

    def kl_loss(self, post, prior, balance=0.8, free_nats=1.0):
        """Train the prior towards the posterior faster than the other way round."""
        def gaussian(state, stop):
            mean, std = (state.mean.detach(), state.std.detach()) if stop else state[2:]
            return Independent(Normal(mean, std), 1)

        to_prior = kl_divergence(gaussian(post, True), gaussian(prior, False)).mean()
        to_post = kl_divergence(gaussian(post, False), gaussian(prior, True)).mean()
        loss = balance * to_prior.clamp(min=free_nats) + (1 - balance) * to_post.clamp(min=free_nats)
        return loss, to_prior.detach()


class Actor(nn.Module):
    """Gaussian squashed by tanh, so actions lie in (-1, 1)."""

    def __init__(self, n_feat, n_action):
        super().__init__()
        self.net = mlp(n_feat, 2 * n_action, depth=3)

    def forward(self, feat, deterministic=False):
        """Return an action and its log-probability."""
        mean, raw = self.net(feat).chunk(2, dim=-1)
        mean = 5 * torch.tanh(mean / 5)  # keep away from the flat ends of tanh
        dist = Normal(mean, F.softplus(raw + 1.0) + 1e-2)
        u = mean if deterministic else dist.rsample()
        # log(1 - tanh(u)^2), written so that it does not underflow
        log_slope = 2 * (math.log(2) - u - F.softplus(-2 * u))
        return torch.tanh(u), (dist.log_prob(u) - log_slope).sum(dim=-1)
