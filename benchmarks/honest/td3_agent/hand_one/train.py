import argparse
import csv
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch

from agent import TD3
from replay import ReplayBuffer


def evaluate(agent, env_id, episodes, seed):
    """Noise-free rollouts in a fresh environment. Returns the mean and spread of the returns."""
    env = gym.make(env_id)
    returns = []
    for k in range(episodes):
        obs, _ = env.reset(seed=seed + k)
        total, over = 0.0, False
        while not over:
            obs, reward, terminated, truncated, _ = env.step(agent.act(obs))
            total += reward
            over = terminated or truncated
        returns.append(total)
    env.close()
    return float(np.mean(returns)), float(np.std(returns))


def parse_args():
    p = argparse.ArgumentParser(description="TD3 for gymnasium environments with box actions")
    p.add_argument("--env", default="HalfCheetah-v4")
    p.add_argument("--steps", type=int, default=1_000_000)
    p.add_argument("--warmup", type=int, default=10_000, help="steps of uniformly random actions")
    p.add_argument("--buffer", type=int, default=1_000_000)
    p.add_argument("--batch-size", type=int, default=256)
    p.add_argument("--explore-noise", type=float, default=0.1)
    p.add_argument("--eval-every", type=int, default=5_000)
    p.add_argument("--eval-episodes", type=int, default=10)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--out", type=Path, default=Path("runs/td3"))
    p.add_argument("--resume", type=Path, help="checkpoint to continue from (with an empty buffer)")
    return p.parse_args()


def main():
    args = parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    env = gym.make(args.env)
    if not isinstance(env.action_space, gym.spaces.Box):
        raise SystemExit(f"{args.env} does not have continuous actions")
    env.action_space.seed(args.seed)
    obs_dim, act_dim = env.observation_space.shape[0], env.action_space.shape[0]
    agent = TD3(obs_dim, env.action_space.low, env.action_space.high, device=device)
    buffer = ReplayBuffer(args.buffer, obs_dim, act_dim, device, args.seed)

    first, best = 1, -np.inf
    if args.resume:
        state = agent.load(args.resume)
        first, best = state["step"] + 1, state["best"]

    log_path = args.out / "progress.csv"
    log_file = open(log_path, "a" if args.resume else "w", newline="")
    fields = ["step", "seconds", "episodes", "train_return", "eval_mean", "eval_std",
              "critic_loss", "actor_loss", "q_mean"]
    log = csv.DictWriter(log_file, fields)
    if log_file.tell() == 0:
        log.writeheader()

    began = time.time()
    obs, _ = env.reset(seed=args.seed)
    running, episodes, recent, stats = 0.0, 0, [], {}
    for step in range(first, args.steps + 1):
        if step - first < args.warmup and not args.resume:
            action = env.action_space.sample()
        else:
            action = agent.act(obs, args.explore_noise)
        next_obs, reward, terminated, truncated, _ = env.step(action)
        # a time limit is not a real end, so only `terminated` cuts the bootstrap
        buffer.add(obs, action, reward, next_obs, terminated)
        obs = next_obs
        running += reward
        if terminated or truncated:
            recent.append(running)
            episodes += 1
            running = 0.0
            obs, _ = env.reset()

        if len(buffer) >= args.warmup:
            stats.update(agent.update(buffer.sample(args.batch_size)))

        if step % args.eval_every == 0:
            mean, std = evaluate(agent, args.env, args.eval_episodes, args.seed + 10_000)
            log.writerow({"step": step, "seconds": round(time.time() - began, 1), "episodes": episodes,
                          "train_return": np.mean(recent) if recent else "",
                          "eval_mean": mean, "eval_std": std, **stats})
            log_file.flush()
            recent.clear()
            print(f"step {step:>8d}  eval {mean:9.2f} +- {std:.2f}")
            if mean > best:
                best = mean
                agent.save(args.out / "best.pt", step=step, best=float(best))
            agent.save(args.out / "last.pt", step=step, best=float(best))
    log_file.close()
    env.close()


if __name__ == "__main__":
    main()
