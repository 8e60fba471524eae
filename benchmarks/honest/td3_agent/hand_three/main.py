"""Train or evaluate a TD3 agent on a gymnasium task.

    python main.py --env HalfCheetah-v4 --out runs/cheetah
    python main.py --env HalfCheetah-v4 --play runs/cheetah/best.msgpack
"""
import argparse
import csv
import time
from pathlib import Path

import gymnasium as gym
import numpy as np

from memory import RingBuffer
from td3 import TD3, TD3Config

COLUMNS = ["step", "episodes", "train_return", "eval_mean", "eval_std",
           "critic_loss", "actor_loss", "mean_q", "seconds"]


def build_env(name, render=False):
    env = gym.make(name, render_mode="human" if render else None)
    if not isinstance(env.action_space, gym.spaces.Box):
        raise SystemExit(f"{name} does not have a continuous action space")
    env = gym.wrappers.RescaleAction(env, -1.0, 1.0)
    return gym.wrappers.FlattenObservation(env)


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
    buffer = RingBuffer(args.buffer, env.observation_space.shape[0],
                        env.action_space.shape[0], args.seed)
    env.action_space.seed(args.seed)
    obs, _ = env.reset(seed=args.seed)
    best, episodes, running, last_return = -np.inf, 0, 0.0, float("nan")
    info, began = {}, time.time()

    with open(out / "log.csv", "w", newline="") as handle:
        log = csv.DictWriter(handle, COLUMNS)
        log.writeheader()
        for step in range(1, args.steps + 1):
            if step <= args.warmup and not args.resume:
                action = env.action_space.sample()
            else:
                action = agent.act(obs, args.noise)
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
                row = {"step": step, "episodes": episodes, "train_return": last_return,
                       "eval_mean": mean, "eval_std": std,
                       "seconds": round(time.time() - began, 1)}
                row.update({name: float(value) for name, value in info.items()})
                log.writerow(row)
                handle.flush()
                print(f"{step:>8d}  eval {mean:9.2f} +/- {std:.2f}  ({episodes} episodes)")
                agent.save(out / "last.msgpack")
                if mean > best:
                    best = mean
                    agent.save(out / "best.msgpack")
    print(f"best evaluation return: {best:.2f}")


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--env", default="Pendulum-v1")
    p.add_argument("--out", default="runs/td3")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--steps", type=int, default=300_000)
    p.add_argument("--warmup", type=int, default=5_000)
    p.add_argument("--batch", type=int, default=256)
    p.add_argument("--buffer", type=int, default=500_000)
    p.add_argument("--noise", type=float, default=0.1)
    p.add_argument("--discount", type=float, default=0.99)
    p.add_argument("--eval-every", type=int, default=5_000)
    p.add_argument("--eval-episodes", type=int, default=10)
    p.add_argument("--resume", help="checkpoint to continue from (the buffer starts empty)")
    p.add_argument("--play", help="checkpoint to show instead of training")
    args = p.parse_args()

    env = build_env(args.env, render=bool(args.play))
    agent = TD3(env.observation_space.shape[0], env.action_space.shape[0],
                TD3Config(discount=args.discount), args.seed)
    if args.play or args.resume:
        agent.restore(args.play or args.resume)
    if args.play:
        mean, std = evaluate(agent, env, args.eval_episodes, args.seed)
        print(f"return {mean:.2f} +/- {std:.2f}")
    else:
        train(args, agent, env, build_env(args.env))


if __name__ == "__main__":
    main()
