"""Soft actor-critic: networks and the update rule. Actions live in [-1, 1] throughout."""
from __future__ import annotations

import copy
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def mlp(sizes: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in zip(sizes[:-1], sizes[1:]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Policy(nn.Module):
    LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0

    def __init__(self, obs_dim: int, act_dim: int, hidden: int):
        super().__init__()
        self.net = mlp([obs_dim, hidden, hidden, 2 * act_dim])

    def forward(self, obs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, log_std = self.net(obs).chunk(2, dim=-1)
        return mean, log_std.clamp(self.LOG_STD_MIN, self.LOG_STD_MAX)

    def sample(self, obs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, log_std = self(obs)
        dist = torch.distributions.Normal(mean, log_std.exp())
        u = dist.rsample()
        # log(1 - tanh(u)^2), written so that it does not underflow for large |u|
        log_det = 2.0 * (math.log(2.0) - u - F.softplus(-2.0 * u))
        return torch.tanh(u), (dist.log_prob(u) - log_det).sum(dim=-1)


class TwinQ(nn.Module):
    def __init__(self, obs_dim: int, act_dim: int, hidden: int):
        super().__init__()
        self.q1 = mlp([obs_dim + act_dim, hidden, hidden, 1])
        self.q2 = mlp([obs_dim + act_dim, hidden, hidden, 1])

    def forward(self, obs: torch.Tensor, act: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.cat([obs, act], dim=-1)
        return self.q1(x).squeeze(-1), self.q2(x).squeeze(-1)


class SAC:
    def __init__(self, obs_dim: int, act_dim: int, hidden: int = 256, lr: float = 3e-4, tau: float = 0.005,
                 init_alpha: float = 0.2, auto_alpha: bool = True, device: str = "cpu"):
        self.device, self.tau, self.auto_alpha = torch.device(device), tau, auto_alpha
        self.policy = Policy(obs_dim, act_dim, hidden).to(self.device)
        self.critic = TwinQ(obs_dim, act_dim, hidden).to(self.device)
        self.target = copy.deepcopy(self.critic).requires_grad_(False)
        self.log_alpha = torch.tensor(math.log(init_alpha), device=self.device, requires_grad=True)
        self.target_entropy = -float(act_dim)
        self.policy_opt = torch.optim.Adam(self.policy.parameters(), lr=lr)
        self.critic_opt = torch.optim.Adam(self.critic.parameters(), lr=lr)
        self.alpha_opt = torch.optim.Adam([self.log_alpha], lr=lr)

    @torch.no_grad()
    def act(self, obs: np.ndarray, deterministic: bool = False) -> np.ndarray:
        x = torch.as_tensor(obs, dtype=torch.float32, device=self.device)
        action = torch.tanh(self.policy(x)[0]) if deterministic else self.policy.sample(x)[0]
        return action.cpu().numpy()

    def update(self, batch: dict) -> tuple[dict, np.ndarray]:
        alpha = self.log_alpha.exp().detach()
        with torch.no_grad():
            next_act, next_logp = self.policy.sample(batch["next_obs"])
            next_q = torch.min(*self.target(batch["next_obs"], next_act)) - alpha * next_logp
            target = batch["ret"] + batch["discount"] * next_q

        q1, q2 = self.critic(batch["obs"], batch["act"])
        critic_loss = (batch["weight"] * ((q1 - target) ** 2 + (q2 - target) ** 2)).mean()
        self.critic_opt.zero_grad()
        critic_loss.backward()
        self.critic_opt.step()

        self.critic.requires_grad_(False)
        act, logp = self.policy.sample(batch["obs"])
        policy_loss = (alpha * logp - torch.min(*self.critic(batch["obs"], act))).mean()
        self.policy_opt.zero_grad()
        policy_loss.backward()
        self.policy_opt.step()
        self.critic.requires_grad_(True)

        if self.auto_alpha:
            alpha_loss = -(self.log_alpha * (logp.detach() + self.target_entropy)).mean()
            self.alpha_opt.zero_grad()
            alpha_loss.backward()
            self.alpha_opt.step()

        with torch.no_grad():
            for p, tp in zip(self.critic.parameters(), self.target.parameters()):
                tp.lerp_(p, self.tau)

        td = (0.5 * ((q1 - target).abs() + (q2 - target).abs())).detach().cpu().numpy()
        stats = {"critic_loss": critic_loss.item(), "policy_loss": policy_loss.item(),
                 "alpha": alpha.item(), "entropy": -logp.mean().item()}
        return stats, td

    def state_dict(self) -> dict:
        parts = ("policy", "critic", "target", "policy_opt", "critic_opt", "alpha_opt")
        return {**{k: getattr(self, k).state_dict() for k in parts}, "log_alpha": self.log_alpha.detach().cpu()}

    def load_state_dict(self, state: dict) -> None:
        for key, value in state.items():
            if key == "log_alpha":
                self.log_alpha.data.copy_(value)
            else:
                getattr(self, key).load_state_dict(value)
