"""Soft actor-critic: policy, twin critics and the update rule."""
from __future__ import annotations

import copy
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from replay import Batch

LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0


def mlp(sizes: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in zip(sizes[:-1], sizes[1:]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class GaussianPolicy(nn.Module):
    """Tanh-squashed diagonal Gaussian; actions live in [-1, 1]."""

    def __init__(self, obs_dim: int, act_dim: int, hidden: int):
        super().__init__()
        self.net = mlp([obs_dim, hidden, hidden, 2 * act_dim])

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = self.net(obs).chunk(2, dim=-1)
        return mean, log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)

    def sample(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = self(obs)
        normal = torch.distributions.Normal(mean, log_std.exp())
        u = normal.rsample()
        # log(1 - tanh(u)^2), written so that it does not underflow for large |u|
        log_det = 2 * (math.log(2) - u - F.softplus(-2 * u))
        return u.tanh(), (normal.log_prob(u) - log_det).sum(dim=-1)


class TwinQ(nn.Module):
    def __init__(self, obs_dim: int, act_dim: int, hidden: int):
        super().__init__()
        self.q1 = mlp([obs_dim + act_dim, hidden, hidden, 1])
        self.q2 = mlp([obs_dim + act_dim, hidden, hidden, 1])

    def forward(self, obs: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.cat([obs, action], dim=-1)
        return self.q1(x).squeeze(-1), self.q2(x).squeeze(-1)


class RunningNorm(nn.Module):
    """Observation normalisation by running mean and variance."""

    def __init__(self, dim: int, clip: float = 10.0):
        super().__init__()
        self.clip = clip
        self.register_buffer("mean", torch.zeros(dim, dtype=torch.float64))
        self.register_buffer("var", torch.ones(dim, dtype=torch.float64))
        self.register_buffer("count", torch.tensor(1e-4, dtype=torch.float64))

    def update(self, x: Tensor) -> None:
        x = x.double()
        n = x.shape[0]
        delta = x.mean(dim=0) - self.mean
        total = self.count + n
        m2 = self.var * self.count + x.var(dim=0, unbiased=False) * n + delta ** 2 * self.count * n / total
        self.mean += delta * n / total
        self.var.copy_(m2 / total)
        self.count.copy_(total)

    def forward(self, x: Tensor) -> Tensor:
        out = (x - self.mean.float()) / (self.var.float() + 1e-8).sqrt()
        return out.clamp(-self.clip, self.clip)


class SAC:
    def __init__(self, obs_dim: int, act_dim: int, hidden: int = 256, lr: float = 3e-4, tau: float = 0.005,
                 normalise: bool = True, init_alpha: float = 0.2, device: str = "cpu"):
        self.device, self.tau, self.normalise = device, tau, normalise
        self.target_entropy = -float(act_dim)
        self.norm = RunningNorm(obs_dim).to(device)
        self.policy = GaussianPolicy(obs_dim, act_dim, hidden).to(device)
        self.critic = TwinQ(obs_dim, act_dim, hidden).to(device)
        self.target = copy.deepcopy(self.critic).requires_grad_(False)
        self.log_alpha = torch.tensor(math.log(init_alpha), device=device, requires_grad=True)
        self.policy_opt = torch.optim.Adam(self.policy.parameters(), lr=lr)
        self.critic_opt = torch.optim.Adam(self.critic.parameters(), lr=lr)
        self.alpha_opt = torch.optim.Adam([self.log_alpha], lr=lr)

    def observe(self, obs: np.ndarray) -> None:
        if self.normalise:
            self.norm.update(torch.as_tensor(obs, device=self.device))

    def _prepare(self, obs: Tensor) -> Tensor:
        return self.norm(obs) if self.normalise else obs

    @torch.no_grad()
    def act(self, obs: np.ndarray, deterministic: bool = False) -> np.ndarray:
        x = self._prepare(torch.as_tensor(obs, dtype=torch.float32, device=self.device))
        action = self.policy(x)[0].tanh() if deterministic else self.policy.sample(x)[0]
        return action.cpu().numpy()

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step on critics, policy and temperature; returns metrics and TD errors."""
        obs, next_obs = self._prepare(batch.obs), self._prepare(batch.next_obs)
        alpha = self.log_alpha.exp().detach()

        with torch.no_grad():
            next_action, next_logp = self.policy.sample(next_obs)
            next_q = torch.min(*self.target(next_obs, next_action)) - alpha * next_logp
            y = batch.reward + batch.discount * next_q
        q1, q2 = self.critic(obs, batch.action)
        critic_loss = (batch.weight * ((q1 - y) ** 2 + (q2 - y) ** 2)).mean()
        self._step(self.critic_opt, critic_loss)

        self.critic.requires_grad_(False)
        action, logp = self.policy.sample(obs)
        policy_loss = (alpha * logp - torch.min(*self.critic(obs, action))).mean()
        self._step(self.policy_opt, policy_loss)
        self.critic.requires_grad_(True)

        alpha_loss = -(self.log_alpha * (logp.detach() + self.target_entropy)).mean()
        self._step(self.alpha_opt, alpha_loss)

        with torch.no_grad():
            for p, q in zip(self.target.parameters(), self.critic.parameters()):
                p.lerp_(q, self.tau)
        error = (0.5 * ((q1 - y).abs() + (q2 - y).abs())).detach().cpu().numpy()
        metrics = {"critic_loss": critic_loss.item(), "policy_loss": policy_loss.item(),
                   "alpha": alpha.item(), "entropy": -logp.mean().item(), "q_mean": q1.mean().item()}
        return metrics, error

    @staticmethod
    def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    _parts = ("norm", "policy", "critic", "target", "policy_opt", "critic_opt", "alpha_opt")

    def state_dict(self) -> dict:
        state = {name: getattr(self, name).state_dict() for name in self._parts}
        state["log_alpha"] = self.log_alpha.detach().cpu()
        return state

    def load_state_dict(self, state: dict) -> None:
        for name in self._parts:
            getattr(self, name).load_state_dict(state[name])
        with torch.no_grad():
            self.log_alpha.copy_(state["log_alpha"])
