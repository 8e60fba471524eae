"""Networks, running normalisation and the soft actor-critic update."""
from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from buffer import Batch

LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0


@dataclass
class SACConfig:
    hidden: int = 256
    actor_lr: float = 3e-4
    critic_lr: float = 3e-4
    alpha_lr: float = 3e-4
    tau: float = 0.005
    init_alpha: float = 0.2
    auto_alpha: bool = True
    target_entropy: float | None = None  # default: -action_dim


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(),
                         nn.Linear(hidden, hidden), nn.ReLU(),
                         nn.Linear(hidden, outputs))


class RunningNorm(nn.Module):
    """Observation normalisation by running mean and variance (parallel update)."""

    def __init__(self, dim: int, clip: float = 10.0):
        super().__init__()
        self.clip = clip
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("var", torch.ones(dim))
        self.register_buffer("count", torch.tensor(1e-4))

    @torch.no_grad()
    def update(self, x: Tensor) -> None:
        n = x.shape[0]
        delta = x.mean(dim=0) - self.mean
        total = self.count + n
        m2 = (self.var * self.count + x.var(dim=0, unbiased=False) * n
              + delta.square() * self.count * n / total)
        self.mean += delta * n / total
        self.var.copy_(m2 / total)
        self.count.copy_(total)

    def forward(self, x: Tensor) -> Tensor:
        return ((x - self.mean) / (self.var + 1e-8).sqrt()).clamp(-self.clip, self.clip)


class Actor(nn.Module):
    """Gaussian policy squashed by tanh and rescaled to the action bounds."""

    def __init__(self, obs_dim: int, low: np.ndarray, high: np.ndarray, hidden: int):
        super().__init__()
        self.net = mlp(obs_dim, hidden, 2 * len(low))
        low_t, high_t = torch.as_tensor(low), torch.as_tensor(high)
        self.register_buffer("scale", (high_t - low_t).float() / 2)
        self.register_buffer("center", (high_t + low_t).float() / 2)

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = self.net(obs).chunk(2, dim=-1)
        log_std = LOG_STD_MIN + 0.5 * (LOG_STD_MAX - LOG_STD_MIN) * (log_std.tanh() + 1)
        return mean, log_std

    def sample(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = self(obs)
        dist = torch.distributions.Normal(mean, log_std.exp())
        u = dist.rsample()
        # log(1 - tanh(u)^2), in a numerically stable form
        log_det = 2 * (math.log(2) - u - F.softplus(-2 * u)) + self.scale.log()
        log_prob = (dist.log_prob(u) - log_det).sum(dim=-1)
        return u.tanh() * self.scale + self.center, log_prob

    def mode(self, obs: Tensor) -> Tensor:
        return self(obs)[0].tanh() * self.scale + self.center


class TwinQ(nn.Module):
    def __init__(self, obs_dim: int, act_dim: int, hidden: int):
        super().__init__()
        self.q1 = mlp(obs_dim + act_dim, hidden, 1)
        self.q2 = mlp(obs_dim + act_dim, hidden, 1)

    def forward(self, obs: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.cat([obs, action], dim=-1)
        return self.q1(x).squeeze(-1), self.q2(x).squeeze(-1)


class SACAgent:
    def __init__(self, obs_dim: int, low: np.ndarray, high: np.ndarray,
                 cfg: SACConfig, device: torch.device):
        act_dim = len(low)
        self.cfg, self.device = cfg, device
        self.norm = RunningNorm(obs_dim).to(device)
        self.actor = Actor(obs_dim, low, high, cfg.hidden).to(device)
        self.critic = TwinQ(obs_dim, act_dim, cfg.hidden).to(device)
        self.target = copy.deepcopy(self.critic).requires_grad_(False)
        self.log_alpha = torch.tensor(math.log(cfg.init_alpha), device=device, requires_grad=True)
        self.target_entropy = -float(act_dim) if cfg.target_entropy is None else cfg.target_entropy
        self.actor_opt = torch.optim.Adam(self.actor.parameters(), lr=cfg.actor_lr)
        self.critic_opt = torch.optim.Adam(self.critic.parameters(), lr=cfg.critic_lr)
        self.alpha_opt = torch.optim.Adam([self.log_alpha], lr=cfg.alpha_lr)

    def observe(self, obs: np.ndarray) -> None:
        self.norm.update(torch.as_tensor(obs, dtype=torch.float32, device=self.device))

    @torch.no_grad()
    def act(self, obs: np.ndarray, deterministic: bool = False) -> np.ndarray:
        x = self.norm(torch.as_tensor(obs, dtype=torch.float32, device=self.device))
        action = self.actor.mode(x) if deterministic else self.actor.sample(x)[0]
        return action.cpu().numpy()

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step on everything; returns metrics and TD errors."""
        obs, next_obs = self.norm(batch.obs), self.norm(batch.next_obs)
        alpha = self.log_alpha.exp().detach()

        with torch.no_grad():
            next_action, next_log_prob = self.actor.sample(next_obs)
            next_q = torch.min(*self.target(next_obs, next_action)) - alpha * next_log_prob
            backup = batch.reward + batch.discount * next_q
        q1, q2 = self.critic(obs, batch.action)
        critic_loss = (batch.weight * ((q1 - backup).square() + (q2 - backup).square())).mean()
        self.critic_opt.zero_grad()
        critic_loss.backward()
        self.critic_opt.step()

        self.critic.requires_grad_(False)
        action, log_prob = self.actor.sample(obs)
        actor_loss = (alpha * log_prob - torch.min(*self.critic(obs, action))).mean()
        self.actor_opt.zero_grad()
        actor_loss.backward()
        self.actor_opt.step()
        self.critic.requires_grad_(True)

        if self.cfg.auto_alpha:
            alpha_loss = -(self.log_alpha * (log_prob.detach() + self.target_entropy)).mean()
            self.alpha_opt.zero_grad()
            alpha_loss.backward()
            self.alpha_opt.step()

        with torch.no_grad():
            for target, source in zip(self.target.parameters(), self.critic.parameters()):
                target.lerp_(source, self.cfg.tau)
        td_error = (0.5 * ((q1 - backup).abs() + (q2 - backup).abs())).detach().cpu().numpy()
        metrics = {"critic_loss": critic_loss.item(), "actor_loss": actor_loss.item(),
                   "alpha": alpha.item(), "entropy": -log_prob.mean().item(),
                   "q_mean": q1.mean().item()}
        return metrics, td_error

    _PARTS = ("norm", "actor", "critic", "target", "actor_opt", "critic_opt", "alpha_opt")

    def state_dict(self) -> dict:
        state = {name: getattr(self, name).state_dict() for name in self._PARTS}
        state["log_alpha"] = self.log_alpha.detach().cpu()
        return state

    def load_state_dict(self, state: dict) -> None:
        for name in self._PARTS:
            getattr(self, name).load_state_dict(state[name])
        with torch.no_grad():
            self.log_alpha.copy_(state["log_alpha"])
