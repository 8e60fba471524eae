"""Networks of the agent: image encoder and decoder, RSSM, heads, actor and critic."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Independent, Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform


def mlp(in_dim, out_dim, hidden=256, layers=2, act=nn.ELU):
    modules = []
    for _ in range(layers):
        modules += [nn.Linear(in_dim, hidden), act()]
        in_dim = hidden
    modules.append(nn.Linear(in_dim, out_dim))
    return nn.Sequential(*modules)


class ConvEncoder(nn.Module):
    """64x64 RGB image to a flat embedding."""

    def __init__(self, channels=3, depth=32):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels, depth, 4, stride=2), nn.ReLU(),
            nn.Conv2d(depth, 2 * depth, 4, stride=2), nn.ReLU(),
            nn.Conv2d(2 * depth, 4 * depth, 4, stride=2), nn.ReLU(),
            nn.Conv2d(4 * depth, 8 * depth, 4, stride=2), nn.ReLU(),
        )
        self.out_dim = 8 * depth * 2 * 2

    def forward(self, obs):
        batch_shape = obs.shape[:-3]
        x = self.net(obs.reshape(-1, *obs.shape[-3:]))
        return x.reshape(*batch_shape, -1)


class ConvDecoder(nn.Module):
    """Latent state to the mean of a 64x64 RGB image."""

    def __init__(self, in_dim, channels=3, depth=32):
        super().__init__()
        self.depth = depth
        self.fc = nn.Linear(in_dim, 32 * depth)
        self.net = nn.Sequential(
            nn.ConvTranspose2d(32 * depth, 4 * depth, 5, stride=2), nn.ReLU(),
            nn.ConvTranspose2d(4 * depth, 2 * depth, 5, stride=2), nn.ReLU(),
            nn.ConvTranspose2d(2 * depth, depth, 6, stride=2), nn.ReLU(),
            nn.ConvTranspose2d(depth, channels, 6, stride=2),
        )

    def forward(self, feat):
        batch_shape = feat.shape[:-1]
        x = self.fc(feat).reshape(-1, 32 * self.depth, 1, 1)
        x = self.net(x)
        return x.reshape(*batch_shape, *x.shape[1:])


class RSSM(nn.Module):
    """Recurrent state-space model with a GRU and a diagonal Gaussian."""

    def __init__(self, embed_dim, action_dim, deter=200, stoch=30, hidden=200, min_std=0.1):
        super().__init__()
        self.deter, self.stoch, self.min_std = deter, stoch, min_std
        self.pre_gru = nn.Sequential(nn.Linear(stoch + action_dim, hidden), nn.ELU())
        self.gru = nn.GRUCell(hidden, deter)
        self.prior_net = mlp(deter, 2 * stoch, hidden, 1)
        self.post_net = mlp(deter + embed_dim, 2 * stoch, hidden, 1)

    @property
    def feat_dim(self):
        return self.deter + self.stoch

    def initial(self, batch_size, device):
        return {
            "deter": torch.zeros(batch_size, self.deter, device=device),
            "stoch": torch.zeros(batch_size, self.stoch, device=device),
            "mean": torch.zeros(batch_size, self.stoch, device=device),
            "std": torch.ones(batch_size, self.stoch, device=device),
        }

    def _stats(self, x):
        mean, std = x.chunk(2, dim=-1)
        return mean, F.softplus(std) + self.min_std

    def img_step(self, prev, action):
        x = self.pre_gru(torch.cat([prev["stoch"], action], dim=-1))
        deter = self.gru(x, prev["deter"])
        mean, std = self._stats(self.prior_net(deter))
        stoch = mean + std * torch.randn_like(std)
        return {"deter": deter, "stoch": stoch, "mean": mean, "std": std}

    def obs_step(self, prev, action, embed):
        prior = self.img_step(prev, action)
        mean, std = self._stats(self.post_net(torch.cat([prior["deter"], embed], dim=-1)))
        stoch = mean + std * torch.randn_like(std)
        post = {"deter": prior["deter"], "stoch": stoch, "mean": mean, "std": std}
        return post, prior

    def observe(self, embed, actions, is_first, state=None):
        """embed, actions: (batch, time, ...). Returns stacked posteriors and priors."""
        batch, length = embed.shape[:2]
        if state is None:
            state = self.initial(batch, embed.device)
        posts, priors = [], []
        for t in range(length):
            mask = (1.0 - is_first[:, t]).unsqueeze(-1)
            state = {k: v * mask for k, v in state.items()}
            post, prior = self.obs_step(state, actions[:, t] * mask, embed[:, t])
            posts.append(post)
            priors.append(prior)
            state = post
        stack = lambda items: {k: torch.stack([i[k] for i in items], dim=1) for k in items[0]}
        return stack(posts), stack(priors)

    def get_feat(self, state):
        return torch.cat([state["deter"], state["stoch"]], dim=-1)

    def get_dist(self, state):
        return Independent(Normal(state["mean"], state["std"]), 1)


class Actor(nn.Module):
    """Tanh-normal policy over continuous actions."""

    def __init__(self, feat_dim, action_dim, hidden=256, init_std=5.0, min_std=1e-4, mean_scale=5.0):
        super().__init__()
        self.net = mlp(feat_dim, 2 * action_dim, hidden, 3)
        self.raw_init_std = math.log(math.exp(init_std) - 1)
        self.min_std = min_std
        self.mean_scale = mean_scale

    def forward(self, feat):
        mean, std = self.net(feat).chunk(2, dim=-1)
        mean = self.mean_scale * torch.tanh(mean / self.mean_scale)
        std = F.softplus(std + self.raw_init_std) + self.min_std
        base = Normal(mean, std)
        return Independent(TransformedDistribution(base, TanhTransform(cache_size=1)), 1), torch.tanh(mean)
