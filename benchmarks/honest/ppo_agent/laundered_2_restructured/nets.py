"""Neural networks used by the learner."""

import math

import gymnasium as gym
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import distributions as D

EPS_VAR = 1e-8
HEAD_GAIN = 0.01


def ortho(n_in, n_out, gain):
    fc = nn.Linear(n_in, n_out)
    nn.init.orthogonal_(fc.weight, gain)
    nn.init.constant_(fc.bias, 0.0)
    return fc


class MLP(nn.Module):
    def __init__(self, n_in, width, n_layers):
        super().__init__()
        sizes = [n_in] + [width] * n_layers
        self.layers = nn.ModuleList(
            ortho(a, b, math.sqrt(2.0)) for a, b in zip(sizes[:-1], sizes[1:])
        )

    def forward(self, x):
        for fc in self.layers:
            x = torch.tanh(fc(x))
        return x


def merge_moments(mean, var, count, batch):
    """Combine running moments with those of a batch, return the new triple."""
    n = batch.size(0)
    b_var, b_mean = torch.var_mean(batch, dim=0, correction=0)
    total = n + count
    w = n / total
    diff = b_mean - mean
    spread = w * (1 - w) * diff**2
    merged_var = var * (1 - w) + b_var * w + spread
    return mean + w * diff, merged_var, total


class RunningStats(nn.Module):
    def __init__(self, size, limit=10.0, start=1e-4):
        super().__init__()
        self.limit = limit
        f64 = torch.float64
        for name, init in (
            ("loc", torch.zeros(size, dtype=f64)),
            ("spread", torch.ones(size, dtype=f64)),
            ("n", torch.full((), start, dtype=f64)),
        ):
            self.register_buffer(name, init)

    def observe(self, batch):
        with torch.no_grad():
            loc, spread, n = merge_moments(self.loc, self.spread, self.n, batch.to(torch.float64))
            self.spread.copy_(spread)
            self.loc.copy_(loc)
            self.n.copy_(n)

    def whiten(self, x):
        centred = x - self.loc
        std = torch.sqrt(EPS_VAR + self.spread)
        return torch.clamp(centred / std, -self.limit, self.limit).to(torch.float32)


class Agent(nn.Module):
    """Policy and value function. Sequences come as [time, env, features]."""

    def __init__(
        self,
        n_obs,
        act_space,
        width=64,
        n_layers=2,
        use_memory=False,
        mem_size=64,
        log_std_init=0.0,
        obs_limit=10.0,
    ):
        super().__init__()
        if not isinstance(act_space, (gym.spaces.Discrete, gym.spaces.Box)):
            raise TypeError("unsupported action space: " + type(act_space).__name__)
        self.use_memory = use_memory
        self.mem_size = mem_size if use_memory else 0
        self.stats = RunningStats(n_obs, obs_limit)

        trunk_in = n_obs
        if use_memory:
            self.memory = nn.GRUCell(n_obs, mem_size)
            trunk_in = mem_size
        self.pi_body = MLP(trunk_in, width, n_layers)
        self.v_body = MLP(trunk_in, width, n_layers)

        self.continuous = isinstance(act_space, gym.spaces.Box)
        if not self.continuous:
            n_act = int(act_space.n)
        else:
            n_act = int(act_space.shape[0])
            self.pi_log_std = nn.Parameter(log_std_init * torch.ones(n_act))
        self.pi_out = ortho(width, n_act, HEAD_GAIN)
        self.v_out = ortho(width, 1, 1.0)

    def empty_memory(self, n_envs, device):
        return torch.zeros((n_envs, self.mem_size), device=device)

    def _roll_memory(self, feats, firsts, mem):
        mems = []
        for t in range(feats.size(0)):
            keep = (1.0 - firsts[t])[:, None]
            mem = self.memory(feats[t], mem * keep)
            mems.append(mem)
        return torch.stack(mems, dim=0), mem

    def features(self, obs, firsts, mem):
        feats = self.stats.whiten(obs)
        if self.use_memory:
            feats, mem = self._roll_memory(feats, firsts, mem)
        return feats, mem

    def action_dist(self, feats):
        out = self.pi_out(self.pi_body(feats))
        if self.continuous:
            std = torch.exp(self.pi_log_std)
            return D.Independent(D.Normal(out, std), reinterpreted_batch_ndims=1)
        return D.Categorical(logits=out)

    def state_value(self, feats):
        return self.v_out(self.v_body(feats))[..., 0]

    def forward(self, obs, firsts, mem):
        feats, mem = self.features(obs, firsts, mem)
        v = self.state_value(feats)
        return self.action_dist(feats), v, mem


def huber_free_value_error(v, v_old, target, limit):
    """Clipped value error; the larger of the two squared distances counts."""
    v_lim = v_old + torch.clamp(v - v_old, -limit, limit)
    plain = F.mse_loss(v, target, reduction="none")
    limited = F.mse_loss(v_lim, target, reduction="none")
    return 0.5 * torch.mean(torch.max(plain, limited))
