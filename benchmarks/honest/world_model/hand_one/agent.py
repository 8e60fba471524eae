"""The agent: world-model learning, behaviour learning in imagination, acting."""
import copy

import torch
import torch.nn as nn
import torch.nn.functional as F

from nets import RSSM, Actor, ImageDecoder, ImageEncoder, features, map_state, mlp, stack_states


def lambda_returns(reward, discount, value, lam):
    """All inputs are (horizon, batch) and refer to the state reached after each action."""
    running = value[-1]
    out = []
    for t in reversed(range(len(reward))):
        running = reward[t] + discount[t] * ((1 - lam) * value[t] + lam * running)
        out.append(running)
    return torch.stack(out[::-1])


def to_float_image(frames):
    return frames.float() / 255.0 - 0.5


class WorldModel(nn.Module):
    def __init__(self, n_action):
        super().__init__()
        self.encoder = ImageEncoder()
        self.rssm = RSSM(self.encoder.size, n_action)
        self.n_feat = self.rssm.n_deter + self.rssm.n_stoch
        self.decoder = ImageDecoder(self.n_feat)
        self.reward = mlp(self.n_feat, 1)
        self.cont = mlp(self.n_feat, 1)

    def loss(self, batch):
        """`batch` is time-major. Returns loss, posterior states and numbers for the log."""
        image = to_float_image(batch["image"])
        embed = self.encoder(image)
        state = self.rssm.initial(image.shape[1], image.device)
        posts, priors = [], []
        for action, emb, first in zip(batch["action"], embed, batch["first"]):
            state, prior = self.rssm.observe(state, action, emb, first)
            posts.append(state)
            priors.append(prior)
        post, prior = stack_states(posts), stack_states(priors)
        feat = features(post)
        image_loss = 0.5 * (self.decoder(feat) - image).pow(2).sum(dim=(-3, -2, -1)).mean()
        reward_loss = 0.5 * (self.reward(feat).squeeze(-1) - batch["reward"]).pow(2).mean()
        cont_loss = F.binary_cross_entropy_with_logits(self.cont(feat).squeeze(-1), batch["cont"])
        kl_loss, kl = self.rssm.kl_loss(post, prior)
        total = image_loss + reward_loss + cont_loss + kl_loss
        log = {"image": image_loss, "reward": reward_loss, "cont": cont_loss, "kl": kl}
        return total, post, log


class Agent(nn.Module):
    def __init__(self, n_action, horizon=15, gamma=0.99, lam=0.95, entropy=1e-3,
                 target_rate=0.02, clip=100.0):
        super().__init__()
        self.n_action, self.horizon, self.gamma, self.lam = n_action, horizon, gamma, lam
        self.entropy, self.target_rate, self.clip = entropy, target_rate, clip
        self.world = WorldModel(n_action)
        self.actor = Actor(self.world.n_feat, n_action)
        self.critic = mlp(self.world.n_feat, 1, depth=3)
        self.target = copy.deepcopy(self.critic).requires_grad_(False)

    def make_optimizers(self):
        rates = {"world": 6e-4, "actor": 8e-5, "critic": 8e-5}
        self.optimizers = {name: torch.optim.Adam(getattr(self, name).parameters(), lr, eps=1e-5)
                           for name, lr in rates.items()}

    def _step(self, name, loss):
        """Update one part only, whatever else the loss happens to depend on."""
        params = list(getattr(self, name).parameters())
        for param, grad in zip(params, torch.autograd.grad(loss, params)):
            param.grad = grad
        nn.utils.clip_grad_norm_(params, self.clip)
        self.optimizers[name].step()

    def dream(self, state):
        feats, log_probs = [features(state)], []
        for _ in range(self.horizon):
            action, log_prob = self.actor(feats[-1].detach())
            state = self.world.rssm.imagine(state, action)
            feats.append(features(state))
            log_probs.append(log_prob)
        return torch.stack(feats), torch.stack(log_probs)

    def update(self, batch):
        loss, post, log = self.world.loss(batch)
        self._step("world", loss)

        start = map_state(lambda x: x.detach().flatten(0, 1), post)
        feats, log_probs = self.dream(start)
        reward = self.world.reward(feats[1:]).squeeze(-1)
        cont = torch.sigmoid(self.world.cont(feats)).squeeze(-1)
        discount = self.gamma * cont[1:]
        returns = lambda_returns(reward, discount, self.target(feats[1:]).squeeze(-1), self.lam)
        # how likely it is that the imagined episode is still going on at each step
        weight = torch.cat([cont[:1], discount[:-1]]).cumprod(dim=0).detach()
        actor_loss = -(weight * (returns - self.entropy * log_probs)).mean()
        self._step("actor", actor_loss)

        value = self.critic(feats[:-1].detach()).squeeze(-1)
        critic_loss = 0.5 * (weight * (value - returns.detach()).pow(2)).mean()
        self._step("critic", critic_loss)
        with torch.no_grad():
            for slow, fast in zip(self.target.parameters(), self.critic.parameters()):
                slow.lerp_(fast, self.target_rate)

        log.update(actor=actor_loss, critic=critic_loss, entropy=-log_probs.mean())
        return {name: number.item() for name, number in log.items()}

    @torch.no_grad()
    def act(self, image, memory=None, noise=0.0, deterministic=False):
        """`memory` is what the previous call returned, None at the start of an episode."""
        device = next(self.parameters()).device
        first = torch.full((1,), float(memory is None), device=device)
        if memory is None:
            memory = (self.world.rssm.initial(1, device),
                      torch.zeros(1, self.n_action, device=device))
        embed = self.world.encoder(to_float_image(torch.as_tensor(image, device=device)[None]))
        state, _ = self.world.rssm.observe(*memory, embed, first)
        action, _ = self.actor(features(state), deterministic)
        action = (action + noise * torch.randn_like(action)).clamp(-1, 1)
        return action[0].cpu().numpy(), (state, action)
