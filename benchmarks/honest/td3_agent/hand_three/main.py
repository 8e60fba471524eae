"""Train TD3 on a gymnasium task:  python main.py --env HalfCheetah-v4 --out runs/cheetah"""
import argparse
import csv
import time
from pathlib import Path

import gymnasium as gym
import numpy as np

from memory import RingBuffer
from td3 import TD3

COLUMNS = ["step", "episodes", "train_return", "eval_mean", "eval_std",
           "critic_loss", "actor_loss", "mean_q", "seconds"]


def build_env(name):
    env = gym.make(name)
    return gym.wrappers.FlattenObservation(gym.wrappers.RescaleAction(env, -1.0, 1.0))


def evaluate(agent, env, episodes, seed):
    scores = []
    for i in range(episodes):
        obs, _ = env.reset(seed=seed + i)
        total, over = 0.0, False
        while not over:
            obs, reward, terminated, truncated, _ = env.step(agent.act(obs))
            total += float(reward)
            over = terminated or truncated
        scores.append(total)
    return float(np.mean(scores)), float(np.std(scores))


def train(args, agent, env, eval_env):
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    buffer = RingBuffer(min(args.steps, 1_000_000), env.observation_space.shape[0],
                        env.action_space.shape[0], args.seed)
    env.action_space.seed(args.seed)
    obs, _ = env.reset(seed=args.seed)
    best, episodes, running, last_return = -np.inf, 0, 0.0, float("nan")
    info, began = {}, time.time()

    with open(out / "log.csv", "w", newline="") as handle:
        log = csv.DictWriter(handle, COLUMNS)
        log.writeheader()
        for step in range(1, args.steps + 1):
            explore = step <= args.warmup and not args.resume
            action = env.action_space.sample() if explore else agent.act(obs, args.noise)
            next_obs, reward, terminated, truncated, _ = env.step(action)
            buffer.push(obs, action, reward, next_obs, terminated)
            running += float(reward)
            obs = next_obs
            if terminated or truncated:
                episodes, last_return, running = episodes + 1, running, 0.0
                obs, _ = env.reset()

            if step > args.warmup:
                info.update(agent.learn(buffer.draw(args.batch)))

            if step % args.eval_every == 0 or step == args.steps:
                mean, std = evaluate(agent, eval_env, args.eval_episodes, args.seed + 10_000)
                log.writerow({"step": step, "episodes": episodes, "train_return": last_return,
                              "eval_mean": mean, "eval_std": std,
                              "seconds": round(time.time() - began, 1),
                              **{name: float(value) for name, value in info.items()}})
                handle.flush()
                print(f"{step:>8d}  eval {mean:9.2f} +/- {std:.2f}  ({episodes} episodes)")
                agent.save(out / "last.msgpack")
                if mean > best:
                    best = mean
                    agent.save(out / "best.msgpack")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--env", default="Pendulum-v1")
    p.add_argument("--out", default="runs/td3")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--steps", type=int, default=300_000)
    p.add_argument("--warmup", type=int, default=5_000)
    p.add_argument("--batch", type=int, default=256)
    p.add_argument("--noise", type=float, default=0.1)
    p.add_argument("--eval-every", type=int, default=5_000)
    p.add_argument("--eval-episodes", type=int, default=10)
    p.add_argument("--resume", help="checkpoint to continue from (the buffer starts empty)")
    args = p.parse_args()

    env = build_env(args.env)
    agent = TD3(env.observation_space.shape[0], env.action_space.shape[0], seed=args.seed)
    if args.resume:
        agent.restore(args.resume)
    train(args, agent, env, build_env(args.env))


if __name__ == "__main__":
    main()
