"""python train.py --env HalfCheetah-v4 --steps 1000000"""
import argparse
import csv
import random
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch

from agent import TD3
from buffer import ReplayBuffer


FIELDS = ["step", "episodes", "train_return", "eval_mean", "eval_std", "critic_loss",
          "policy_loss", "q_mean", "seconds"]


def evaluate(agent, env, episodes, seed):
    """Noise-free rollouts, always on the same set of initial seeds."""
    returns = []
    for k in range(episodes):
        obs, _ = env.reset(seed=seed + k)
        total, over = 0.0, False
        while not over:
            obs, reward, terminated, truncated, _ = env.step(agent.to_env(agent.act(obs)))
            total += float(reward)
            over = terminated or truncated
        returns.append(total)
    return float(np.mean(returns)), float(np.std(returns))


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--env", default="HalfCheetah-v4")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--steps", type=int, default=1_000_000)
    p.add_argument("--warmup", type=int, default=10_000, help="steps of uniformly random actions")
    p.add_argument("--batch-size", type=int, default=256)
    p.add_argument("--buffer-size", type=int, default=1_000_000)
    p.add_argument("--explore-noise", type=float, default=0.1)
    p.add_argument("--target-noise", type=float, default=0.2)
    p.add_argument("--noise-clip", type=float, default=0.5)
    p.add_argument("--policy-delay", type=int, default=2)
    p.add_argument("--gamma", type=float, default=0.99)
    p.add_argument("--tau", type=float, default=0.005)
    p.add_argument("--lr", type=float, default=3e-4)
    p.add_argument("--eval-every", type=int, default=5_000)
    p.add_argument("--eval-episodes", type=int, default=10)
    p.add_argument("--out", type=Path, default=Path("runs"))
    return p.parse_args()


def main():
    args = parse()
    random.seed(args.seed)
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    env, eval_env = gym.make(args.env), gym.make(args.env)
    if not isinstance(env.action_space, gym.spaces.Box):
        raise SystemExit(f"{args.env} does not have continuous actions")
    obs_dim = int(np.prod(env.observation_space.shape))
    agent = TD3(obs_dim, env.action_space.low, env.action_space.high, lr=args.lr, gamma=args.gamma,
                tau=args.tau, target_noise=args.target_noise, noise_clip=args.noise_clip,
                policy_delay=args.policy_delay, device=device)
    act_dim = env.action_space.shape[0]
    buffer = ReplayBuffer(obs_dim, act_dim, args.buffer_size, device)
    run_dir = args.out / f"{args.env}_seed{args.seed}"
    run_dir.mkdir(parents=True, exist_ok=True)
    log_file = open(run_dir / "log.csv", "w", newline="")
    log = csv.DictWriter(log_file, FIELDS)
    log.writeheader()
    best = -float("inf")
    info, recent, episodes, episode_return = {}, [], 0, 0.0
    began = time.time()
    obs, _ = env.reset(seed=args.seed)

    for step in range(1, args.steps + 1):
        if step <= args.warmup:
            action = np.random.uniform(-1.0, 1.0, size=act_dim).astype(np.float32)
        else:
            action = agent.act(obs, noise=args.explore_noise)
        next_obs, reward, terminated, truncated, _ = env.step(agent.to_env(action))
        # running out of time is not a terminal state, so the target still bootstraps
        buffer.add(obs, action, reward, next_obs, terminated)
        obs = next_obs
        episode_return += float(reward)
        if terminated or truncated:
            recent.append(episode_return)
            episodes += 1
            episode_return = 0.0
            obs, _ = env.reset()

        if step > args.warmup and len(buffer) >= args.batch_size:
            info.update(agent.update(buffer.sample(args.batch_size)))

        if step % args.eval_every == 0:
            mean, std = evaluate(agent, eval_env, args.eval_episodes, args.seed + 10_000)
            train_return = float(np.mean(recent)) if recent else float("nan")
            recent.clear()
            log.writerow(dict(info, step=step, episodes=episodes, train_return=train_return, eval_mean=mean,
                              eval_std=std, seconds=round(time.time() - began, 1)))
            log_file.flush()
            print(f"step {step:>8d}  train {train_return:9.1f}  eval {mean:9.1f} +/- {std:.1f}", flush=True)
            if mean > best:
                best = mean
                agent.save(run_dir / "best.pt", step=step, best=best)
            agent.save(run_dir / "last.pt", step=step, best=best)
    log_file.close()
    env.close()
    eval_env.close()


if __name__ == "__main__":
    main()
