"""Double dueling DQN: python dqn.py --env ALE/Breakout-v5"""
import argparse
import copy
from pathlib import Path

import ale_py
import gymnasium as gym
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

from envs import make_atari
from memory import PrioritizedReplay

gym.register_envs(ale_py)


class DuelingNet(nn.Module):
    def __init__(self, frames, actions):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(frames, 32, 8, 4), nn.ReLU(),
                                  nn.Conv2d(32, 64, 4, 2), nn.ReLU(),
                                  nn.Conv2d(64, 64, 3, 1), nn.ReLU(), nn.Flatten())
        self.value = nn.Sequential(nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, 1))
        self.advantage = nn.Sequential(nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, actions))

    def forward(self, obs):
        h = self.body(obs.float() / 255)
        adv = self.advantage(h)
        return self.value(h) + adv - adv.mean(1, keepdim=True)


class Agent:
    def __init__(self, actions, lr, device):
        self.actions, self.device = actions, device
        self.online = DuelingNet(4, actions).to(device)
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.online.parameters(), lr=lr, eps=1.5e-4)

    @torch.no_grad()
    def act(self, obs, epsilon):
        if np.random.rand() < epsilon:
            return np.random.randint(self.actions)
        return self.online(torch.as_tensor(obs, device=self.device)[None]).argmax().item()

    def learn(self, batch, weight):
        obs, action, reward, next_obs, discount = (
            torch.as_tensor(x, device=self.device) for x in batch)
        q = self.online(obs).gather(1, action[:, None]).squeeze(1)
        with torch.no_grad():
            choice = self.online(next_obs).argmax(1, keepdim=True)
            goal = reward + discount * self.target(next_obs).gather(1, choice).squeeze(1)
        weight = torch.as_tensor(weight, device=self.device)
        loss = (weight * F.smooth_l1_loss(q, goal, reduction="none")).mean()
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.online.parameters(), 10.0)
        self.optimizer.step()
        return loss.item(), (goal - q).detach().cpu().numpy()

    def state(self):
        return {k: getattr(self, k).state_dict() for k in ("online", "target", "optimizer")}

    def load(self, state):
        for k in ("online", "target", "optimizer"):
            getattr(self, k).load_state_dict(state[k])


def evaluate(agent, env, episodes, epsilon=0.001):
    scores = []
    for _ in range(episodes):
        obs, _ = env.reset()
        done, score = False, 0.0
        while not done:
            obs, reward, terminated, truncated, _ = env.step(agent.act(obs, epsilon))
            score += reward
            done = terminated or truncated
        scores.append(score)
    return float(np.mean(scores)), float(np.std(scores))


def ramp(step, length, start, end):
    return start + (end - start) * min(1.0, step / length)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--env", default="ALE/Breakout-v5")
    p.add_argument("--steps", type=int, default=10_000_000)
    p.add_argument("--capacity", type=int, default=200_000)
    p.add_argument("--learn-start", type=int, default=20_000)
    p.add_argument("--sync-every", type=int, default=8_000)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--lr", type=float, default=6.25e-5)
    p.add_argument("--gamma", type=float, default=0.99)
    p.add_argument("--n-step", type=int, default=3)
    p.add_argument("--eps-steps", type=int, default=1_000_000)
    p.add_argument("--eval-every", type=int, default=250_000)
    p.add_argument("--eval-episodes", type=int, default=10)
    p.add_argument("--out", type=Path, default=Path("checkpoints"))
    p.add_argument("--load", type=Path)
    p.add_argument("--seed", type=int, default=0)
    a = p.parse_args()

    np.random.seed(a.seed)
    torch.manual_seed(a.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    test_env = make_atari(a.env, training=False)
    agent = Agent(test_env.action_space.n, a.lr, device)
    first, best = 0, -np.inf
    if a.load:
        state = torch.load(a.load, map_location=device, weights_only=False)
        agent.load(state["agent"])
        first, best = state["step"], state["best"]
    a.out.mkdir(parents=True, exist_ok=True)
    env = make_atari(a.env)
    memory = PrioritizedReplay(a.capacity, env.observation_space.shape, a.n_step, a.gamma)
    obs, _ = env.reset(seed=a.seed)
    for step in range(first + 1, a.steps + 1):
        action = agent.act(obs, ramp(step, a.eps_steps, 1.0, 0.01))
        next_obs, reward, terminated, truncated, _ = env.step(action)
        memory.add(obs, action, np.sign(reward), next_obs, terminated, truncated)
        obs = env.reset()[0] if terminated or truncated else next_obs

        if memory.size >= a.learn_start and step % 4 == 0:
            index, weight, batch = memory.sample(a.batch, ramp(step, a.steps, 0.4, 1.0))
            loss, error = agent.learn(batch, weight)
            memory.update(index, error)
            if step % 10_000 == 0:
                print(f"{step:,} steps  loss {loss:.4f}", flush=True)
        if step % a.sync_every == 0:
            agent.target.load_state_dict(agent.online.state_dict())
        if step % a.eval_every == 0:
            mean, std = evaluate(agent, test_env, a.eval_episodes)
            print(f"{step:,} steps  score {mean:.1f} +- {std:.1f}", flush=True)
            state = {"agent": agent.state(), "step": step, "best": max(best, mean)}
            torch.save(state, a.out / "last.pt")
            if mean > best:
                best = mean
                torch.save(state, a.out / "best.pt")


if __name__ == "__main__":
    main()
