"""Train the agent in a Gymnasium environment from pixels."""

import argparse
import json
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
import torch.nn.functional as F

from dreamer import Dreamer
from replay import SequenceReplay


class PixelEnv:
    """Renders 64x64 frames, scales actions to [-1, 1] and repeats them."""

    def __init__(self, name, action_repeat=2, size=64, seed=0):
        self.env = gym.make(name, render_mode="rgb_array")
        self.action_repeat, self.size, self.seed = action_repeat, size, seed
        self.low, self.high = self.env.action_space.low, self.env.action_space.high
        self.action_dim = self.env.action_space.shape[0]

    def _frame(self):
        frame = torch.as_tensor(self.env.render().copy()).permute(2, 0, 1).float().unsqueeze(0)
        frame = F.interpolate(frame, size=(self.size, self.size), mode="area")[0]
        return frame.byte().numpy()

    def reset(self):
        self.env.reset(seed=self.seed)
        self.seed = None
        return self._frame()

    def step(self, action):
        action = self.low + (action + 1.0) * 0.5 * (self.high - self.low)
        total = 0.0
        for _ in range(self.action_repeat):
            _, reward, terminated, truncated, _ = self.env.step(action)
            total += reward
            if terminated or truncated:
                break
        return self._frame(), total, terminated, truncated


def evaluate(agent, env, episodes):
    returns = []
    for _ in range(episodes):
        obs, state, action, done, total = env.reset(), None, None, False, 0.0
        while not done:
            action, state = agent.act(obs, state, action, training=False)
            obs, reward, terminated, truncated = env.step(action[0].cpu().numpy())
            total += reward
            done = terminated or truncated
        returns.append(total)
    return float(np.mean(returns)), float(np.std(returns))


def parse_args():
    p = argparse.ArgumentParser()
    p.add_argument("--env", default="Pendulum-v1")
    p.add_argument("--logdir", type=Path, default=Path("runs/dreamer"))
    p.add_argument("--steps", type=int, default=500_000)
    p.add_argument("--prefill", type=int, default=5000)
    p.add_argument("--train-every", type=int, default=5)
    p.add_argument("--batch-size", type=int, default=32)
    p.add_argument("--seq-len", type=int, default=50)
    p.add_argument("--capacity", type=int, default=200_000)
    p.add_argument("--action-repeat", type=int, default=2)
    p.add_argument("--deter", type=int, default=200)
    p.add_argument("--stoch", type=int, default=30)
    p.add_argument("--hidden", type=int, default=256)
    p.add_argument("--horizon", type=int, default=15)
    p.add_argument("--gamma", type=float, default=0.99)
    p.add_argument("--lam", type=float, default=0.95)
    p.add_argument("--free-nats", type=float, default=1.0)
    p.add_argument("--kl-balance", type=float, default=0.8)
    p.add_argument("--kl-scale", type=float, default=1.0)
    p.add_argument("--cont-scale", type=float, default=1.0)
    p.add_argument("--expl-noise", type=float, default=0.3)
    p.add_argument("--model-lr", type=float, default=3e-4)
    p.add_argument("--actor-lr", type=float, default=8e-5)
    p.add_argument("--critic-lr", type=float, default=8e-5)
    p.add_argument("--grad-clip", type=float, default=100.0)
    p.add_argument("--target-every", type=int, default=100)
    p.add_argument("--eval-every", type=int, default=10_000)
    p.add_argument("--eval-episodes", type=int, default=5)
    p.add_argument("--seed", type=int, default=0)
    return p.parse_args()


def main():
    args = parse_args()
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    args.logdir.mkdir(parents=True, exist_ok=True)
    env = PixelEnv(args.env, args.action_repeat, seed=args.seed)
    eval_env = PixelEnv(args.env, args.action_repeat, seed=args.seed + 1000)
    replay = SequenceReplay(args.capacity, (3, 64, 64), env.action_dim, args.seq_len)
    agent = Dreamer(env.action_dim, args, device)
    log = (args.logdir / "metrics.jsonl").open("a")

    obs, state, action, first = env.reset(), None, None, True
    replay.add(obs, np.zeros(env.action_dim), 0.0, False, True)
    ep_return, metrics, start = 0.0, {}, time.time()
    for step in range(1, args.steps + 1):
        if step <= args.prefill:
            act = np.random.uniform(-1, 1, env.action_dim).astype(np.float32)
        else:
            action, state = agent.act(obs, state, action)
            act = action[0].cpu().numpy()
        obs, reward, terminated, truncated = env.step(act)
        ep_return += reward
        replay.add(obs, act, reward, terminated, False)
        if terminated or truncated:
            record = {"step": step, "return": ep_return, "fps": step / (time.time() - start), **metrics}
            log.write(json.dumps(record) + "\n")
            log.flush()
            obs, state, action, ep_return = env.reset(), None, None, 0.0
            replay.add(obs, np.zeros(env.action_dim), 0.0, False, True)
        if step > args.prefill and step % args.train_every == 0:
            metrics = agent.update(replay.sample(args.batch_size, device))
        if step % args.eval_every == 0 and step > args.prefill:
            mean, std = evaluate(agent, eval_env, args.eval_episodes)
            print(f"step {step}: return {mean:.1f} +- {std:.1f}")
            log.write(json.dumps({"step": step, "eval_return": mean, "eval_std": std}) + "\n")
            agent.save(args.logdir / "checkpoint.pt", step)


if __name__ == "__main__":
    main()
