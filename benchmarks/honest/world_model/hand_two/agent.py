"""Actor and critic learnt purely from rollouts inside the world model."""
import copy

import torch
from torch import nn
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution
import torch.nn.functional as F

from rssm import State, WorldModel, features, mlp


class Actor(nn.Module):
    def __init__(self, feat_dim, action_dim, init_std=1.0, min_std=1e-2, mean_scale=5.0):
        super().__init__()
        self.net = mlp(feat_dim, 2 * action_dim, layers=3)
        self.min_std, self.mean_scale = min_std, mean_scale
        self.offset = float(torch.tensor(init_std).expm1().log())

    def forward(self, feat):
        mean, raw = self.net(feat).chunk(2, dim=-1)
        mean = self.mean_scale * torch.tanh(mean / self.mean_scale)
        base = Normal(mean, F.softplus(raw + self.offset) + self.min_std)
        return Independent(TransformedDistribution(base, TanhTransform(cache_size=1)), 1), torch.tanh(mean)


def lambda_returns(rewards, discounts, values, lam):
    """All inputs (time, batch). rewards/discounts/values belong to the state arrived in;
    the last value bootstraps the recursion."""
    running, out = values[-1], []
    for r, d, v in zip(rewards.flip(0), discounts.flip(0), values.flip(0)):
        running = r + d * ((1 - lam) * v + lam * running)
        out.append(running)
    return torch.stack(out[::-1])


class Dreamer:
    PARTS = ("model", "actor", "critic", "target", "model_opt", "actor_opt", "critic_opt")

    def __init__(self, action_dim, device, horizon=15, gamma=0.99, lam=0.95, entropy=1e-4,
                 tau=0.02, clip=100.0):
        self.device, self.action_dim = device, action_dim
        self.horizon, self.gamma, self.lam = horizon, gamma, lam
        self.entropy, self.tau, self.clip = entropy, tau, clip
        self.model = WorldModel(action_dim).to(device)
        self.actor = Actor(self.model.feat_dim, action_dim).to(device)
        self.critic = mlp(self.model.feat_dim, 1, layers=3).to(device)
        self.target = copy.deepcopy(self.critic).requires_grad_(False)
        self.model_opt = torch.optim.Adam(self.model.parameters(), lr=6e-4, eps=1e-5)
        self.actor_opt = torch.optim.Adam(self.actor.parameters(), lr=8e-5, eps=1e-5)
        self.critic_opt = torch.optim.Adam(self.critic.parameters(), lr=8e-5, eps=1e-5)

    @torch.no_grad()
    def act(self, image, memory=None, noise=0.0, greedy=False):
        """One environment step; `memory` is what the previous call returned, None at reset."""
        if memory is None:
            memory = self.model.initial(1, self.device), torch.zeros(1, self.action_dim, device=self.device)
        obs = torch.as_tensor(image, device=self.device).float().unsqueeze(0) / 255.0 - 0.5
        state, _ = self.model.observe_step(*memory, self.model.encoder(obs))
        dist, mode = self.actor(features(state))
        action = mode if greedy else dist.sample()
        if noise > 0:
            action = (action + noise * torch.randn_like(action)).clamp(-1.0, 1.0)
        return action.squeeze(0).cpu().numpy(), (state, action)

    def _step(self, opt, module, loss):
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), self.clip)
        opt.step()

    def update(self, batch):
        loss, post, logs = self.model.loss(batch)
        self._step(self.model_opt, self.model, loss)
        start = State(*(part.detach().flatten(0, 1) for part in post))
        logs.update(self._update_behaviour(start, batch["cont"].flatten()))
        return logs

    def _update_behaviour(self, state, alive):
        frozen = (self.model, self.critic)
        for module in frozen:
            module.requires_grad_(False)
        feats, entropies = [features(state)], []
        for _ in range(self.horizon):
            dist, _ = self.actor(feats[-1].detach())
            action = dist.rsample()
            entropies.append(-dist.log_prob(action))
            state = self.model.imagine_step(state, action)
            feats.append(features(state))
        feats = torch.stack(feats)  # (horizon + 1, batch, feat)
        reward = self.model.reward(feats[1:]).squeeze(-1)
        discount = self.gamma * torch.sigmoid(self.model.cont(feats[1:]).squeeze(-1))
        value = self.target(feats[1:]).squeeze(-1)
        returns = lambda_returns(reward, discount, value, self.lam)
        # probability that each imagined step is reached at all
        weight = torch.cat([alive.unsqueeze(0), discount[:-1].detach()]).cumprod(dim=0)
        entropy = torch.stack(entropies)
        actor_loss = -(weight * (returns + self.entropy * entropy)).mean()
        self._step(self.actor_opt, self.actor, actor_loss)
        for module in frozen:
            module.requires_grad_(True)

        predicted = self.critic(feats[:-1].detach()).squeeze(-1)
        critic_loss = 0.5 * (weight * (predicted - returns.detach()).pow(2)).mean()
        self._step(self.critic_opt, self.critic, critic_loss)
        with torch.no_grad():
            for slow, fast in zip(self.target.parameters(), self.critic.parameters()):
                slow.lerp_(fast, self.tau)
        return {"actor/loss": actor_loss.item(), "actor/entropy": entropy.mean().item(),
                "critic/loss": critic_loss.item(), "critic/return": returns.mean().item()}

    def save(self, path, **extra):
        torch.save({**{p: getattr(self, p).state_dict() for p in self.PARTS}, **extra}, path)

    def load(self, path):
        saved = torch.load(path, map_location=self.device)
        for part in self.PARTS:
            getattr(self, part).load_state_dict(saved.pop(part))
        return saved
