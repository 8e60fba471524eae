"""Train soft actor-critic on a gymnasium (>= 1.0) environment.

    python train.py --env HalfCheetah-v5 --n-step 3 --prioritized
"""
from __future__ import annotations

import argparse
import csv
import time
from collections import deque
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch

from agent import SACAgent, SACConfig
from buffer import ReplayBuffer


class CSVLogger:
    """Writes rows to a CSV file; the first row fixes the columns."""

    def __init__(self, path: Path):
        self.file = open(path, "w", newline="")
        self.writer: csv.DictWriter | None = None

    def log(self, row: dict) -> None:
        if self.writer is None:
            self.writer = csv.DictWriter(self.file, list(row), restval="", extrasaction="ignore")
            self.writer.writeheader()
        self.writer.writerow(row)
        self.file.flush()
        print("  ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}"
                        for k, v in row.items()))

    def close(self) -> None:
        self.file.close()


def evaluate(agent: SACAgent, env_id: str, episodes: int, seed: int) -> tuple[float, float]:
    env = gym.make(env_id)
    returns = []
    for episode in range(episodes):
        obs, _ = env.reset(seed=seed + episode)
        total, done = 0.0, False
        while not done:
            action = agent.act(obs[None], deterministic=True)[0]
            obs, reward, terminated, truncated, _ = env.step(action)
            total += float(reward)
            done = terminated or truncated
        returns.append(total)
    env.close()
    return float(np.mean(returns)), float(np.std(returns))


def save_checkpoint(path: Path, agent: SACAgent, step: int) -> None:
    partial = path.with_suffix(".tmp")
    torch.save({"agent": agent.state_dict(), "step": step}, partial)
    partial.replace(path)


def parse_args() -> argparse.Namespace:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--env", default="HalfCheetah-v5")
    ap.add_argument("--num-envs", type=int, default=4)
    ap.add_argument("--steps", type=int, default=1_000_000, help="environment steps in total")
    ap.add_argument("--start-steps", type=int, default=10_000, help="uniformly random actions")
    ap.add_argument("--updates-per-step", type=float, default=1.0)
    ap.add_argument("--batch-size", type=int, default=256)
    ap.add_argument("--capacity", type=int, default=1_000_000)
    ap.add_argument("--gamma", type=float, default=0.99)
    ap.add_argument("--n-step", type=int, default=1)
    ap.add_argument("--prioritized", action="store_true")
    ap.add_argument("--beta", type=float, default=0.4, help="initial exponent, annealed to 1")
    ap.add_argument("--fixed-alpha", type=float, default=None, help="disable tuning")
    ap.add_argument("--eval-every", type=int, default=10_000)
    ap.add_argument("--eval-episodes", type=int, default=10)
    ap.add_argument("--resume", default=None)
    ap.add_argument("--out", default="runs/sac")
    ap.add_argument("--seed", type=int, default=0)
    return ap.parse_args()


def main() -> None:
    args = parse_args()
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)

    envs = gym.vector.SyncVectorEnv([lambda: gym.make(args.env) for _ in range(args.num_envs)])
    space = envs.single_action_space
    envs.action_space.seed(args.seed)
    obs_dim, act_dim = envs.single_observation_space.shape[0], space.shape[0]
    cfg = SACConfig(auto_alpha=args.fixed_alpha is None)
    if args.fixed_alpha is not None:
        cfg.init_alpha = args.fixed_alpha
    agent = SACAgent(obs_dim, space.low, space.high, cfg, device)
    buffer = ReplayBuffer(args.capacity, obs_dim, act_dim, args.num_envs, gamma=args.gamma,
                          n_step=args.n_step, prioritized=args.prioritized, seed=args.seed)
    step, best = 0, -float("inf")
    if args.resume:
        state = torch.load(args.resume, map_location=device)
        agent.load_state_dict(state["agent"])
        step = state["step"]
    random_until = 0 if args.resume else args.start_steps
    learn_from = step + args.start_steps  # the buffer is not part of the checkpoint

    logger = CSVLogger(out / "progress.csv")
    recent: deque[float] = deque(maxlen=20)
    episode_return = np.zeros(args.num_envs)
    obs, _ = envs.reset(seed=args.seed)
    resetting = np.zeros(args.num_envs, dtype=bool)
    metrics: dict[str, float] = {}
    budget, next_eval, started = 0.0, step + args.eval_every, time.time()

    while step < args.steps:
        action = envs.action_space.sample() if step < random_until else agent.act(obs)
        next_obs, reward, terminated, truncated, _ = envs.step(action)
        # Next-step autoreset: the step after an episode end only returns the reset observation.
        buffer.add(obs, action, reward, next_obs, terminated, truncated, skip=resetting)
        agent.observe(obs)
        episode_return += np.where(resetting, 0.0, reward)
        resetting = terminated | truncated
        for i in np.flatnonzero(resetting):
            recent.append(float(episode_return[i]))
            episode_return[i] = 0.0
        obs = next_obs
        step += args.num_envs

        if step >= learn_from and len(buffer) >= args.batch_size:
            budget += args.updates_per_step * args.num_envs
            beta = args.beta + (1.0 - args.beta) * min(1.0, step / args.steps)
            while budget >= 1.0:
                batch = buffer.sample(args.batch_size, device, beta)
                metrics, td_error = agent.update(batch)
                buffer.update_priorities(batch.index, td_error)
                budget -= 1.0

        if step >= next_eval and metrics:
            next_eval += args.eval_every
            mean, std = evaluate(agent, args.env, args.eval_episodes, seed=args.seed + 10_000)
            logger.log({"step": step, "eval_return": mean, "eval_std": std,
                        "train_return": float(np.mean(recent)) if recent else float("nan"),
                        "seconds": time.time() - started, **metrics})
            save_checkpoint(out / "last.pt", agent, step)
            if mean > best:
                best = mean
                save_checkpoint(out / "best.pt", agent, step)

    save_checkpoint(out / "last.pt", agent, step)
    logger.close()
    envs.close()


if __name__ == "__main__":
    main()
