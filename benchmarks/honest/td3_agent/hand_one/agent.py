"""Twin-delayed deep deterministic policy gradient."""
import copy

import torch
import torch.nn.functional as F
from torch import nn


def mlp(sizes):
    layers = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Actor(nn.Module):
    """Maps an observation to an action inside the box [low, high]."""

    def __init__(self, obs_dim, low, high, hidden):
        super().__init__()
        self.net = mlp([obs_dim, *hidden, len(low)])
        self.register_buffer("centre", (high + low) / 2)
        self.register_buffer("half", (high - low) / 2)

    def forward(self, obs):
        return self.centre + self.half * torch.tanh(self.net(obs))


class TwinCritic(nn.Module):
    def __init__(self, obs_dim, act_dim, hidden):
        super().__init__()
        self.first = mlp([obs_dim + act_dim, *hidden, 1])
        self.second = mlp([obs_dim + act_dim, *hidden, 1])

    def forward(self, obs, act):
        x = torch.cat([obs, act], dim=-1)
        return self.first(x).squeeze(-1), self.second(x).squeeze(-1)


class TD3:
    def __init__(self, obs_dim, low, high, hidden=(256, 256), gamma=0.99, tau=0.005, lr=3e-4,
                 target_noise=0.2, noise_clip=0.5, policy_delay=2, device="cpu"):
        self.device = torch.device(device)
        self.low = torch.as_tensor(low, dtype=torch.float32, device=self.device)
        self.high = torch.as_tensor(high, dtype=torch.float32, device=self.device)
        self.half = (self.high - self.low) / 2
        self.gamma, self.tau = gamma, tau
        self.target_noise, self.noise_clip, self.policy_delay = target_noise, noise_clip, policy_delay

        self.actor = Actor(obs_dim, self.low, self.high, hidden).to(self.device)
        self.critic = TwinCritic(obs_dim, len(self.low), hidden).to(self.device)
        self.actor_target = copy.deepcopy(self.actor).requires_grad_(False)
        self.critic_target = copy.deepcopy(self.critic).requires_grad_(False)
        self.actor_opt = torch.optim.Adam(self.actor.parameters(), lr=lr)
        self.critic_opt = torch.optim.Adam(self.critic.parameters(), lr=lr)
        self.updates = 0

    def clip(self, action):
        return torch.max(torch.min(action, self.high), self.low)

    @torch.no_grad()
    def act(self, obs, noise=0.0):
        """Noise is a standard deviation relative to half the action range."""
        obs = torch.as_tensor(obs, dtype=torch.float32, device=self.device)
        action = self.actor(obs)
        if noise > 0:
            action = self.clip(action + noise * self.half * torch.randn_like(action))
        return action.cpu().numpy()

    @torch.no_grad()
    def td_target(self, reward, next_obs, terminal):
        action = self.actor_target(next_obs)
        eps = (torch.randn_like(action) * self.target_noise).clamp(-self.noise_clip, self.noise_clip)
        action = self.clip(action + eps * self.half)
        q = torch.min(*self.critic_target(next_obs, action))
        return reward + self.gamma * (1 - terminal) * q

    def update(self, batch):
        obs, action, reward, next_obs, terminal = batch
        self.updates += 1

        target = self.td_target(reward, next_obs, terminal)
        q1, q2 = self.critic(obs, action)
        critic_loss = F.mse_loss(q1, target) + F.mse_loss(q2, target)
        self.critic_opt.zero_grad()
        critic_loss.backward()
        self.critic_opt.step()
        stats = {"critic_loss": critic_loss.item(), "q_mean": q1.mean().item()}

        if self.updates % self.policy_delay == 0:
            actor_loss = -self.critic(obs, self.actor(obs))[0].mean()
            self.actor_opt.zero_grad()
            actor_loss.backward()
            self.actor_opt.step()
            stats["actor_loss"] = actor_loss.item()
            self.track(self.actor, self.actor_target)
            self.track(self.critic, self.critic_target)
        return stats

    @torch.no_grad()
    def track(self, source, target):
        for p, t in zip(source.parameters(), target.parameters()):
            t.lerp_(p, self.tau)

    PARTS = ("actor", "critic", "actor_target", "critic_target", "actor_opt", "critic_opt")

    def save(self, path, **extra):
        state = {name: getattr(self, name).state_dict() for name in self.PARTS}
        torch.save({**state, "updates": self.updates, **extra}, path)

    def load(self, path):
        state = torch.load(path, map_location=self.device)
        for name in self.PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.updates = state["updates"]
        return state
