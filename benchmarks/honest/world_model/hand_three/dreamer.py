"""World-model learning and behaviour learning in imagination."""

import copy

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import kl_divergence

from networks import RSSM, Actor, ConvDecoder, ConvEncoder, mlp


def lambda_return(rewards, values, discounts, bootstrap, lam=0.95):
    """rewards, values, discounts: (horizon, batch). Returns targets of the same shape."""
    next_values = torch.cat([values[1:], bootstrap.unsqueeze(0)], dim=0)
    inputs = rewards + discounts * next_values * (1 - lam)
    last = bootstrap
    outputs = []
    for t in reversed(range(len(rewards))):
        last = inputs[t] + discounts[t] * lam * last
        outputs.append(last)
    return torch.stack(outputs[::-1], dim=0)


class WorldModel(nn.Module):
    def __init__(self, action_dim, cfg):
        super().__init__()
        self.cfg = cfg
        self.encoder = ConvEncoder()
        self.rssm = RSSM(self.encoder.out_dim, action_dim, cfg.deter, cfg.stoch, cfg.hidden)
        self.decoder = ConvDecoder(self.rssm.feat_dim)
        self.reward_head = mlp(self.rssm.feat_dim, 1, cfg.hidden)
        self.cont_head = mlp(self.rssm.feat_dim, 1, cfg.hidden)

    def kl_loss(self, post, prior):
        """KL balancing: move the prior towards the posterior faster than the reverse."""
        detach = lambda s: {k: v.detach() for k, v in s.items()}
        dist = self.rssm.get_dist
        lhs = kl_divergence(dist(detach(post)), dist(prior)).mean()
        rhs = kl_divergence(dist(post), dist(detach(prior))).mean()
        free = torch.full_like(lhs, self.cfg.free_nats)
        mix = self.cfg.kl_balance
        return mix * torch.maximum(lhs, free) + (1 - mix) * torch.maximum(rhs, free)

    def loss(self, batch):
        embed = self.encoder(batch["obs"])
        post, prior = self.rssm.observe(embed, batch["action"], batch["first"])
        feat = self.rssm.get_feat(post)
        recon = 0.5 * (self.decoder(feat) - batch["obs"]).pow(2).sum(dim=(-3, -2, -1)).mean()
        reward = 0.5 * (self.reward_head(feat).squeeze(-1) - batch["reward"]).pow(2).mean()
        cont = F.binary_cross_entropy_with_logits(self.cont_head(feat).squeeze(-1), batch["discount"])
        kl = self.kl_loss(post, prior)
        total = recon + reward + self.cfg.cont_scale * cont + self.cfg.kl_scale * kl
        metrics = {"recon": recon.item(), "reward": reward.item(), "cont": cont.item(), "kl": kl.item()}
        return total, post, metrics


class Dreamer:
    def __init__(self, action_dim, cfg, device):
        self.cfg, self.device = cfg, device
        self.action_dim = action_dim
        self.wm = WorldModel(action_dim, cfg).to(device)
        feat_dim = self.wm.rssm.feat_dim
        self.actor = Actor(feat_dim, action_dim, cfg.hidden).to(device)
        self.critic = mlp(feat_dim, 1, cfg.hidden, 3).to(device)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.wm_opt = torch.optim.Adam(self.wm.parameters(), lr=cfg.model_lr, eps=1e-5)
        self.actor_opt = torch.optim.Adam(self.actor.parameters(), lr=cfg.actor_lr, eps=1e-5)
        self.critic_opt = torch.optim.Adam(self.critic.parameters(), lr=cfg.critic_lr, eps=1e-5)
        self.updates = 0

    def _step(self, opt, loss, params):
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(params, self.cfg.grad_clip)
        opt.step()

    @torch.no_grad()
    def act(self, obs, state, prev_action, training=True):
        obs = torch.as_tensor(obs, device=self.device).float().unsqueeze(0) / 255.0 - 0.5
        if state is None:
            state = self.wm.rssm.initial(1, self.device)
            prev_action = torch.zeros(1, self.action_dim, device=self.device)
        state, _ = self.wm.rssm.obs_step(state, prev_action, self.wm.encoder(obs))
        dist, mode = self.actor(self.wm.rssm.get_feat(state))
        action = dist.sample() if training else mode
        if training:
            action = (action + self.cfg.expl_noise * torch.randn_like(action)).clamp(-1, 1)
        return action, state

    def imagine(self, post):
        state = {k: v.detach().reshape(-1, v.shape[-1]) for k, v in post.items()}
        feats, actions = [], []
        for _ in range(self.cfg.horizon):
            feat = self.wm.rssm.get_feat(state)
            action = self.actor(feat.detach())[0].rsample()
            state = self.wm.rssm.img_step(state, action)
            feats.append(self.wm.rssm.get_feat(state))
            actions.append(action)
        return torch.stack(feats, dim=0)

    def update(self, batch):
        model_loss, post, metrics = self.wm.loss(batch)
        self._step(self.wm_opt, model_loss, self.wm.parameters())

        self.wm.requires_grad_(False)
        feats = self.imagine(post)
        rewards = self.wm.reward_head(feats).squeeze(-1)
        discounts = self.cfg.gamma * torch.sigmoid(self.wm.cont_head(feats).squeeze(-1))
        values = self.target_critic(feats).squeeze(-1)
        targets = lambda_return(rewards[:-1], values[:-1], discounts[:-1], values[-1], self.cfg.lam)
        weights = torch.cumprod(
            torch.cat([torch.ones_like(discounts[:1]), discounts[:-2]], dim=0), dim=0
        ).detach()
        actor_loss = -(weights * targets).mean()
        self._step(self.actor_opt, actor_loss, self.actor.parameters())
        self.wm.requires_grad_(True)

        pred = self.critic(feats[:-1].detach()).squeeze(-1)
        critic_loss = 0.5 * (weights * (pred - targets.detach()).pow(2)).mean()
        self._step(self.critic_opt, critic_loss, self.critic.parameters())

        self.updates += 1
        if self.updates % self.cfg.target_every == 0:
            self.target_critic.load_state_dict(self.critic.state_dict())
        metrics.update(actor=actor_loss.item(), critic=critic_loss.item(), value=values.mean().item())
        return metrics

    def save(self, path, step):
        torch.save(
            {"wm": self.wm.state_dict(), "actor": self.actor.state_dict(), "critic": self.critic.state_dict(),
             "target": self.target_critic.state_dict(), "step": step},
            path,
        )

    def load(self, path):
        ckpt = torch.load(path, map_location=self.device)
        self.wm.load_state_dict(ckpt["wm"])
        self.actor.load_state_dict(ckpt["actor"])
        self.critic.load_state_dict(ckpt["critic"])
        self.target_critic.load_state_dict(ckpt["target"])
        return ckpt["step"]
