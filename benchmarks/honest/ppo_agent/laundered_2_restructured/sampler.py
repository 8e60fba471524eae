"""Running environments and preparing what they return for the optimiser."""

from collections import deque

import gymnasium as gym
import numpy as np
import torch

KEYS = ("obs", "act", "logp", "val", "first")


def build_vec_env(name, n):
    def thunk():
        return gym.make(name)

    mode = gym.vector.AutoresetMode.SAME_STEP
    return gym.vector.SyncVectorEnv([thunk] * n, autoreset_mode=mode)


def td_errors(rew, val, nonterminal, v_last, gamma):
    nxt = torch.empty_like(val)
    nxt[:-1] = val[1:]
    nxt[-1] = v_last
    return rew + gamma * nonterminal * nxt - val


def gae(rew, val, done, v_last, gamma=0.99, lam=0.95):
    nonterminal = 1.0 - done
    delta = td_errors(rew, val, nonterminal, v_last, gamma)
    carry = torch.zeros_like(v_last)
    out = []
    t = len(rew) - 1
    while t >= 0:
        carry = delta[t] + gamma * lam * nonterminal[t] * carry
        out.append(carry)
        t -= 1
    out.reverse()
    return torch.stack(out)


class ScoreBoard:
    """Sums rewards per environment and keeps the last finished sums."""

    def __init__(self, n_envs, keep=100):
        self.current = np.zeros(n_envs)
        self.history = deque(maxlen=keep)

    def add(self, rew, done):
        self.current = self.current + rew
        for i, over in enumerate(done):
            if over:
                self.history.append(float(self.current[i]))
                self.current[i] = 0.0

    def average(self):
        if not self.history:
            return float("nan")
        return sum(self.history) / len(self.history)


class Sampler:
    def __init__(self, env, agent, seed, device):
        self.env, self.agent, self.device = env, agent, device
        first_obs, _info = env.reset(seed=seed)
        n = env.num_envs
        self.obs = self._t(first_obs)
        self.first = torch.ones((n,), device=device)
        self.mem = agent.empty_memory(n, device)
        self.board = ScoreBoard(n)

    def _t(self, a):
        return torch.as_tensor(a, dtype=torch.float32, device=self.device)

    def _value_of(self, obs, first):
        out = self.agent(obs[None], first[None], self.mem)
        return out[1][0]

    def _time_limit_bonus(self, cut, info, gamma):
        """What the cut-off episodes would still have earned, per environment."""
        bonus = torch.zeros(self.env.num_envs, device=self.device)
        if cut.any():
            last_obs = self.obs.clone()
            for i in range(len(cut)):
                if cut[i]:
                    last_obs[i] = self._t(info["final_obs"][i])
            mask = torch.as_tensor(cut, device=self.device)
            v = self._value_of(last_obs, torch.zeros_like(self.first))
            bonus = torch.where(mask, gamma * v, bonus)
        return bonus

    def _advance(self, gamma):
        """One step in every environment."""
        obs, first = self.obs, self.first
        self.agent.stats.observe(obs)
        dist, val, mem = self.agent(obs[None], first[None], self.mem)
        act = dist.sample()
        logp = dist.log_prob(act).squeeze(0)
        act = act.squeeze(0)

        nxt, rew_np, term, trunc, info = self.env.step(act.cpu().numpy())
        done_np = np.logical_or(term, trunc)
        self.board.add(rew_np, done_np)
        self.mem = mem
        cut = np.logical_and(trunc, np.logical_not(term))
        rew = self._t(rew_np) + self._time_limit_bonus(cut, info, gamma)
        done = self._t(done_np)
        self.obs, self.first = self._t(nxt), done
        return {"obs": obs, "act": act, "logp": logp, "val": val[0], "first": first}, rew, done

    def run(self, n_steps, gamma, lam):
        with torch.no_grad():
            mem0 = self.mem
            rows, rews, dones = zip(*(self._advance(gamma) for _ in range(n_steps)))
            data = {k: torch.stack([row[k] for row in rows]) for k in KEYS}
            v_last = self._value_of(self.obs, self.first)
            data["adv"] = gae(torch.stack(rews), data["val"], torch.stack(dones), v_last, gamma, lam)
            data["ret"] = data["val"] + data["adv"]
        return data, mem0


def split_batches(data, mem0, n_batches, keep_sequences):
    """Yield shuffled pieces. Sequences stay whole if the agent has a memory."""
    if keep_sequences:
        mem = mem0
    else:
        data = {k: v.flatten(0, 1).unsqueeze(0) for k, v in data.items()}
        mem = torch.zeros(data["obs"].size(1), 0, device=mem0.device)
    perm = torch.randperm(data["obs"].size(1), device=data["obs"].device)
    for idx in torch.chunk(perm, n_batches):
        piece = {}
        for k, v in data.items():
            piece[k] = torch.index_select(v, 1, idx)
        yield piece, mem[idx]
