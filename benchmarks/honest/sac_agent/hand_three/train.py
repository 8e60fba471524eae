"""Train SAC on any gymnasium task with a Box action space."""
from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch

from agent import SAC
from buffer import ReplayBuffer, RunningNorm


class CSVLogger:
    """One row per call; columns are fixed by the first row."""

    def __init__(self, path: Path):
        self.file = open(path, "w", newline="")
        self.writer: csv.DictWriter | None = None

    def log(self, row: dict) -> None:
        if self.writer is None:
            self.writer = csv.DictWriter(self.file, fieldnames=list(row), extrasaction="ignore")
            self.writer.writeheader()
        self.writer.writerow(row)
        self.file.flush()
        print("  ".join(f"{k} {v:.4g}" for k, v in row.items()), flush=True)


def make_env(name: str):
    # RescaleAction lets the agent work in [-1, 1] whatever the bounds of the task.
    def thunk():
        return gym.wrappers.RescaleAction(gym.make(name), -1.0, 1.0)
    return thunk


def evaluate(agent: SAC, norm: RunningNorm, env: gym.Env, episodes: int, seed: int) -> tuple[float, float]:
    returns = []
    for ep in range(episodes):
        obs, _ = env.reset(seed=seed + ep)
        total, done = 0.0, False
        while not done:
            action = agent.act(norm(obs[None]), deterministic=True)[0]
            obs, reward, terminated, truncated, _ = env.step(action)
            total += float(reward)
            done = terminated or truncated
        returns.append(total)
    return float(np.mean(returns)), float(np.std(returns))


def save(path: Path, agent: SAC, norm: RunningNorm, step: int) -> None:
    torch.save({"agent": agent.state_dict(), "norm": norm.state_dict(), "step": step}, path)


def parse_args() -> argparse.Namespace:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--env", default="Pendulum-v1")
    ap.add_argument("--num-envs", type=int, default=4)
    ap.add_argument("--steps", type=int, default=1_000_000)
    ap.add_argument("--start-steps", type=int, default=5_000)
    ap.add_argument("--buffer-size", type=int, default=1_000_000)
    ap.add_argument("--batch-size", type=int, default=256)
    ap.add_argument("--updates-per-step", type=float, default=1.0, help="gradient steps per environment step")
    ap.add_argument("--gamma", type=float, default=0.99)
    ap.add_argument("--n-step", type=int, default=1)
    ap.add_argument("--prioritized", action="store_true")
    ap.add_argument("--lr", type=float, default=3e-4)
    ap.add_argument("--fixed-alpha", type=float, help="disable temperature tuning and use this value")
    ap.add_argument("--eval-every", type=int, default=10_000)
    ap.add_argument("--eval-episodes", type=int, default=10)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--out", type=Path, default=Path("runs/sac"))
    ap.add_argument("--resume", type=Path)
    return ap.parse_args()


def main() -> None:
    args = parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)

    n = args.num_envs
    envs = gym.vector.SyncVectorEnv([make_env(args.env) for _ in range(n)])
    eval_env = make_env(args.env)()
    obs_dim = envs.single_observation_space.shape[0]
    act_dim = envs.single_action_space.shape[0]
    envs.action_space.seed(args.seed)

    agent = SAC(obs_dim, act_dim, lr=args.lr, auto_alpha=args.fixed_alpha is None,
                init_alpha=args.fixed_alpha or 0.2, device="cuda" if torch.cuda.is_available() else "cpu")
    norm = RunningNorm((obs_dim,))
    buffer = ReplayBuffer(obs_dim, act_dim, args.buffer_size, n, args.gamma, args.n_step, args.prioritized,
                          seed=args.seed)
    step, best = 0, -np.inf
    if args.resume:
        ckpt = torch.load(args.resume, map_location="cpu")
        agent.load_state_dict(ckpt["agent"])
        norm.load_state_dict(ckpt["norm"])
        step = ckpt["step"]
    logger = CSVLogger(args.out / "progress.csv")

    obs, _ = envs.reset(seed=args.seed)
    was_done = np.zeros(n, dtype=bool)
    warm_until, next_eval = step + args.start_steps, step + args.eval_every
    budget, began, stats = 0.0, time.time(), {}
    while step < args.steps:
        norm.update(obs)
        explore = step < warm_until and not args.resume
        action = envs.action_space.sample() if explore else agent.act(norm(obs))
        next_obs, reward, terminated, truncated, _ = envs.step(action)
        # With next-step autoreset (gymnasium >= 1.0) the step after an episode's end only resets
        # the environment: it ignores the action, so there is no transition to store.
        for i in np.flatnonzero(~was_done):
            buffer.add(i, obs[i], action[i], float(reward[i]), next_obs[i], bool(terminated[i]), bool(truncated[i]))
        was_done = terminated | truncated
        obs = next_obs
        step += n

        if step >= warm_until and len(buffer) >= args.batch_size:
            budget += n * args.updates_per_step
            beta = 0.4 + 0.6 * min(1.0, step / args.steps)
            while budget >= 1.0:
                batch, idx = buffer.sample(args.batch_size, norm, agent.device, beta)
                stats, td = agent.update(batch)
                buffer.update_priorities(idx, td)
                budget -= 1.0

        if step >= next_eval and stats:
            next_eval += args.eval_every
            mean, std = evaluate(agent, norm, eval_env, args.eval_episodes, args.seed + 10_000)
            logger.log({"step": step, "return": mean, "return_std": std, **stats, "seconds": time.time() - began})
            save(args.out / "last.pt", agent, norm, step)
            if mean > best:
                best = mean
                save(args.out / "best.pt", agent, norm, step)

    save(args.out / "last.pt", agent, norm, step)
    envs.close()
    eval_env.close()


if __name__ == "__main__":
    main()
