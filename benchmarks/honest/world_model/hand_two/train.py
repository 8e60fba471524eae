"""Collect experience, train the agent, evaluate, log and checkpoint."""
import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from agent import Dreamer
from envs import PixelEnv, SequenceReplay


def evaluate(agent, env, episodes):
    returns = []
    for _ in range(episodes):
        image, memory, total, over = env.reset(), None, 0.0, False
        while not over:
            action, memory = agent.act(image, memory, greedy=True)
            image, reward, terminated, truncated = env.step(action)
            total, over = total + reward, terminated or truncated
        returns.append(total)
    return float(np.mean(returns))


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--env", default="Pendulum-v1")
    p.add_argument("--steps", type=int, default=250_000, help="agent steps, after action repeat")
    p.add_argument("--prefill", type=int, default=2500)
    p.add_argument("--train-every", type=int, default=5)
    p.add_argument("--eval-every", type=int, default=10_000)
    p.add_argument("--eval-episodes", type=int, default=5)
    p.add_argument("--log-every", type=int, default=1000)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--length", type=int, default=50)
    p.add_argument("--capacity", type=int, default=200_000)
    p.add_argument("--noise", type=float, default=0.3)
    p.add_argument("--action-repeat", type=int, default=2)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--out", default="runs/default")
    p.add_argument("--resume")
    args = p.parse_args()

    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    env = PixelEnv(args.env, args.action_repeat, args.seed)
    test_env = PixelEnv(args.env, args.action_repeat, args.seed + 1000)
    agent = Dreamer(env.action_dim, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    start = agent.load(args.resume)["step"] if args.resume else 0
    replay = SequenceReplay(args.capacity, env.action_dim, args.seed)
    averages = defaultdict(list)

    def log(step, values):
        print(f"[{step}] " + "  ".join(f"{k} {v:.3f}" for k, v in values.items()), flush=True)
        with open(out / "log.jsonl", "a") as fh:
            fh.write(json.dumps({"step": step, **values}) + "\n")

    def begin_episode():
        image = env.reset()
        replay.add(image=image, action=0.0, reward=0.0, cont=1.0, first=1.0)
        return image, None, 0.0

    image, memory, episode_return = begin_episode()
    for step in range(start + 1, args.steps + 1):
        warm = step - start <= args.prefill  # the buffer is not saved, so a resumed run refills it
        if warm and not args.resume:
            action = rng.uniform(-1.0, 1.0, env.action_dim).astype(np.float32)
        else:
            action, memory = agent.act(image, memory, noise=args.noise)
        image, reward, terminated, truncated = env.step(action)
        replay.add(image=image, action=action, reward=reward, cont=float(not terminated), first=0.0)
        episode_return += reward
        if terminated or truncated:
            averages["episode/return"].append(episode_return)
            image, memory, episode_return = begin_episode()

        if not warm and step % args.train_every == 0:
            for key, value in agent.update(replay.sample(args.batch, args.length, agent.device)).items():
                averages[key].append(value)
        if step % args.log_every == 0 and averages:
            log(step, {k: float(np.mean(v)) for k, v in averages.items()})
            averages.clear()
        if step % args.eval_every == 0:
            log(step, {"eval/return": evaluate(agent, test_env, args.eval_episodes)})
            agent.save(out / "latest.pt", step=step)


if __name__ == "__main__":
    main()
