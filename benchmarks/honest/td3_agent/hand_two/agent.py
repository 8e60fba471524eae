"""Twin-delayed deep deterministic policy gradient."""
import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def mlp(sizes):
    layers = []
    for a, b in zip(sizes[:-2], sizes[1:-1]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    layers.append(nn.Linear(sizes[-2], sizes[-1]))
    return nn.Sequential(*layers)


class Policy(nn.Module):
    """Deterministic policy with actions in [-1, 1]; the agent rescales them for the env."""

    def __init__(self, obs_dim, act_dim, hidden):
        super().__init__()
        self.net = mlp([obs_dim, *hidden, act_dim])

    def forward(self, obs):
        return torch.tanh(self.net(obs))


class TwinQ(nn.Module):
    def __init__(self, obs_dim, act_dim, hidden):
        super().__init__()
        self.a = mlp([obs_dim + act_dim, *hidden, 1])
        self.b = mlp([obs_dim + act_dim, *hidden, 1])

    def forward(self, obs, action):
        x = torch.cat([obs, action], dim=-1)
        return self.a(x), self.b(x)

    def first(self, obs, action):
        return self.a(torch.cat([obs, action], dim=-1))


class TD3:
    def __init__(self, obs_dim, action_low, action_high, hidden=(256, 256), lr=3e-4, gamma=0.99,
                 tau=0.005, target_noise=0.2, noise_clip=0.5, policy_delay=2, device="cpu"):
        act_dim = len(action_low)
        self.low, self.high = np.asarray(action_low), np.asarray(action_high)
        self.gamma, self.tau = gamma, tau
        self.target_noise, self.noise_clip, self.policy_delay = target_noise, noise_clip, policy_delay
        self.device = torch.device(device)
        self.policy = Policy(obs_dim, act_dim, hidden).to(self.device)
        self.critic = TwinQ(obs_dim, act_dim, hidden).to(self.device)
        self.policy_target = copy.deepcopy(self.policy).requires_grad_(False)
        self.critic_target = copy.deepcopy(self.critic).requires_grad_(False)
        self.policy_opt = torch.optim.Adam(self.policy.parameters(), lr=lr)
        self.critic_opt = torch.optim.Adam(self.critic.parameters(), lr=lr)
        self.updates = 0

    @torch.no_grad()
    def act(self, obs, noise=0.0):
        """Normalised action; Gaussian noise of the given scale is added when exploring."""
        obs = torch.as_tensor(obs, dtype=torch.float32, device=self.device).reshape(1, -1)
        action = self.policy(obs).cpu().numpy()[0]
        if noise > 0:
            action = action + np.random.normal(0.0, noise, size=action.shape)
        return np.clip(action, -1.0, 1.0).astype(np.float32)

    def to_env(self, action):
        scaled = self.low + (action + 1.0) * 0.5 * (self.high - self.low)
        return scaled.astype(np.float32)

    def update(self, batch):
        obs, actions, rewards, next_obs, terminals = batch
        self.updates += 1
        with torch.no_grad():
            smoothing = (torch.randn_like(actions) * self.target_noise)
            smoothing = smoothing.clamp(-self.noise_clip, self.noise_clip)
            next_actions = (self.policy_target(next_obs) + smoothing).clamp(-1.0, 1.0)
            target = torch.minimum(*self.critic_target(next_obs, next_actions))
            target = rewards + self.gamma * (1.0 - terminals) * target

        qa, qb = self.critic(obs, actions)
        critic_loss = F.mse_loss(qa, target) + F.mse_loss(qb, target)
        self.critic_opt.zero_grad()
        critic_loss.backward()
        self.critic_opt.step()
        info = {"critic_loss": critic_loss.item(), "q_mean": qa.mean().item()}

        if self.updates % self.policy_delay == 0:
            policy_loss = -self.critic.first(obs, self.policy(obs)).mean()
            self.policy_opt.zero_grad()
            policy_loss.backward()
            self.policy_opt.step()
            self._track(self.policy, self.policy_target)
            self._track(self.critic, self.critic_target)
            info["policy_loss"] = policy_loss.item()
        return info

    @torch.no_grad()
    def _track(self, source, target):
        for s, t in zip(source.parameters(), target.parameters()):
            t.lerp_(s, self.tau)

    _parts = ("policy", "critic", "policy_target", "critic_target", "policy_opt", "critic_opt")

    def save(self, path, **extra):
        state = {name: getattr(self, name).state_dict() for name in self._parts}
        torch.save({**state, "updates": self.updates, "extra": extra}, path)

    def load(self, path):
        state = torch.load(path, map_location=self.device)
        for name in self._parts:
            getattr(self, name).load_state_dict(state[name])
        self.updates = state["updates"]
        return state["extra"]
