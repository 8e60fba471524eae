"""Recurrent state-space model with image encoder/decoder and scalar heads."""
from collections import namedtuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence

# h: deterministic memory, z: sampled latent, (mean, std): the distribution z came from
State = namedtuple("State", "h z mean std")


def features(state):
    return torch.cat([state.h, state.z], dim=-1)


def stack_states(states, dim=1):
    return State(*(torch.stack(parts, dim) for parts in zip(*states)))


def gaussian(state, detach=False):
    mean, std = (state.mean.detach(), state.std.detach()) if detach else (state.mean, state.std)
    return Independent(Normal(mean, std), 1)


def mlp(n_in, n_out, hidden=300, layers=2):
    mods, width = [], n_in
    for _ in range(layers):
        mods += [nn.Linear(width, hidden), nn.ELU()]
        width = hidden
    return nn.Sequential(*mods, nn.Linear(width, n_out))


class Encoder(nn.Module):
    """(..., 3, 64, 64) images to flat embeddings."""

    def __init__(self, depth=32):
        super().__init__()
        widths = [3, depth, 2 * depth, 4 * depth, 8 * depth]
        mods = []
        for a, b in zip(widths, widths[1:]):
            mods += [nn.Conv2d(a, b, 4, stride=2), nn.ReLU()]
        self.net = nn.Sequential(*mods, nn.Flatten())
        self.out_dim = 8 * depth * 2 * 2

    def forward(self, images):
        lead = images.shape[:-3]
        return self.net(images.reshape(-1, *images.shape[-3:])).reshape(*lead, -1)


class Decoder(nn.Module):
    def __init__(self, n_in, depth=32):
        super().__init__()
        self.fc = nn.Linear(n_in, 32 * depth)
        self.net = nn.Sequential(
            nn.Unflatten(1, (32 * depth, 1, 1)),
            nn.ConvTranspose2d(32 * depth, 4 * depth, 5, stride=2), nn.ReLU(),
            nn.ConvTranspose2d(4 * depth, 2 * depth, 5, stride=2), nn.ReLU(),
            nn.ConvTranspose2d(2 * depth, depth, 6, stride=2), nn.ReLU(),
            nn.ConvTranspose2d(depth, 3, 6, stride=2),
        )

    def forward(self, feat):
        flat = self.fc(feat.reshape(-1, feat.shape[-1]))
        return self.net(flat).reshape(*feat.shape[:-1], 3, 64, 64)


class WorldModel(nn.Module):
    def __init__(self, action_dim, h_dim=200, z_dim=30, hidden=200, min_std=0.1):
        super().__init__()
        self.h_dim, self.z_dim, self.min_std = h_dim, z_dim, min_std
        self.feat_dim = h_dim + z_dim
        self.encoder = Encoder()
        self.decoder = Decoder(self.feat_dim)
        self.mix = nn.Sequential(nn.Linear(z_dim + action_dim, hidden), nn.ELU())
        self.gru = nn.GRUCell(hidden, h_dim)
        self.prior_net = mlp(h_dim, 2 * z_dim, hidden, layers=1)
        self.post_net = mlp(h_dim + self.encoder.out_dim, 2 * z_dim, hidden, layers=1)
        self.reward = mlp(self.feat_dim, 1)
        self.cont = mlp(self.feat_dim, 1)

    def initial(self, batch, device):
        z = torch.zeros(batch, self.z_dim, device=device)
        return State(torch.zeros(batch, self.h_dim, device=device), z, z, torch.ones_like(z))

    def _sample(self, h, raw):
        mean, raw_std = raw.chunk(2, dim=-1)
        std = F.softplus(raw_std) + self.min_std
        return State(h, mean + std * torch.randn_like(std), mean, std)

    def imagine_step(self, state, action):
        h = self.gru(self.mix(torch.cat([state.z, action], dim=-1)), state.h)
        return self._sample(h, self.prior_net(h))

    def observe_step(self, state, action, embed):
        prior = self.imagine_step(state, action)
        return self._sample(prior.h, self.post_net(torch.cat([prior.h, embed], dim=-1))), prior

    def observe(self, images, actions, first):
        """Filter a (batch, time) sequence; the state is wiped wherever `first` is 1."""
        embeds = self.encoder(images)
        state = self.initial(images.shape[0], images.device)
        posts, priors = [], []
        for t in range(images.shape[1]):
            keep = 1.0 - first[:, t].unsqueeze(-1)
            state = State(*(part * keep for part in state))
            state, prior = self.observe_step(state, actions[:, t] * keep, embeds[:, t])
            posts.append(state)
            priors.append(prior)
        return stack_states(posts), stack_states(priors)

    def loss(self, batch, free_nats=1.0, balance=0.8, kl_scale=1.0):
        post, prior = self.observe(batch["image"], batch["action"], batch["first"])
        feat = features(post)
        image_loss = 0.5 * (self.decoder(feat) - batch["image"]).pow(2).sum(dim=(-3, -2, -1)).mean()
        reward_loss = 0.5 * (self.reward(feat).squeeze(-1) - batch["reward"]).pow(2).mean()
        cont_loss = F.binary_cross_entropy_with_logits(self.cont(feat).squeeze(-1), batch["cont"])
        # most of the pull goes to the prior, the rest regularises the posterior
        to_prior = kl_divergence(gaussian(post, detach=True), gaussian(prior)).mean()
        to_post = kl_divergence(gaussian(post), gaussian(prior, detach=True)).mean()
        kl = balance * to_prior.clamp(min=free_nats) + (1 - balance) * to_post.clamp(min=free_nats)
        total = image_loss + reward_loss + cont_loss + kl_scale * kl
        logs = {"image": image_loss, "reward": reward_loss, "cont": cont_loss, "kl": to_prior}
        return total, post, {f"model/{k}": v.item() for k, v in logs.items()}
