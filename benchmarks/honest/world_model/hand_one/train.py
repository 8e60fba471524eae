"""Train the agent: collect, learn, evaluate, log, save."""
import argparse
import json
from pathlib import Path

import numpy as np
import torch

from agent import Agent
from experience import PixelEnv, Replay


def evaluate(agent, env, episodes):
    scores = []
    for _ in range(episodes):
        image, memory, score, over = env.reset(), None, 0.0, False
        while not over:
            action, memory = agent.act(image, memory, deterministic=True)
            image, reward, terminated, truncated = env.step(action)
            score += reward
            over = terminated or truncated
        scores.append(score)
    return float(np.mean(scores))


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--env", default="Pendulum-v1")
    p.add_argument("--out", type=Path, default=Path("runs/dreamer"))
    p.add_argument("--resume", type=Path, help="checkpoint (the replay buffer starts empty)")
    p.add_argument("--steps", type=int, default=200_000, help="agent decisions")
    p.add_argument("--prefill", type=int, default=2_000, help="random decisions at the start")
    p.add_argument("--train-every", type=int, default=5)
    p.add_argument("--eval-every", type=int, default=10_000)
    p.add_argument("--eval-episodes", type=int, default=5)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--length", type=int, default=50)
    p.add_argument("--capacity", type=int, default=200_000)
    p.add_argument("--repeat", type=int, default=2)
    p.add_argument("--noise", type=float, default=0.3)
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()

    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    args.out.mkdir(parents=True, exist_ok=True)
    env = PixelEnv(args.env, args.repeat, args.seed)
    eval_env = PixelEnv(args.env, args.repeat, args.seed + 1000)
    replay = Replay(args.capacity, env.n_action, args.seed)
    agent = Agent(env.n_action).to(device)
    agent.make_optimizers()

    begin = 0
    if args.resume:
        saved = torch.load(args.resume, map_location=device)
        agent.load_state_dict(saved["agent"])
        for name, state in saved["optimizers"].items():
            agent.optimizers[name].load_state_dict(state)
        begin = saved["step"]

    def record(step, **numbers):
        line = {"step": step, **{k: round(v, 5) for k, v in numbers.items()}}
        print("  ".join(f"{k} {v}" for k, v in line.items()), flush=True)
        with open(args.out / "log.jsonl", "a") as f:
            f.write(json.dumps(line) + "\n")

    def start_episode():
        image = env.reset()
        replay.add(image=image, action=0.0, reward=0.0, cont=1.0, first=1.0)
        return image, None, 0.0

    image, memory, score = start_episode()
    losses = []
    warmup = max(args.prefill, args.length)
    for step in range(begin + 1, args.steps + 1):
        if step <= warmup and not args.resume:
            action = rng.uniform(-1, 1, env.n_action).astype(np.float32)
        else:
            # an episode begun during prefill simply starts its memory here
            action, memory = agent.act(image, memory, noise=args.noise)
        image, reward, terminated, truncated = env.step(action)
        replay.add(image=image, action=action, reward=reward, cont=1.0 - terminated, first=0.0)
        score += reward
        if terminated or truncated:
            record(step, train_return=score)
            image, memory, score = start_episode()

        if step - begin > warmup and step % args.train_every == 0:
            losses.append(agent.update(replay.sample(args.batch, args.length, device)))
            if len(losses) == 100:
                record(step, **{k: float(np.mean([x[k] for x in losses])) for k in losses[0]})
                losses.clear()
        if step % args.eval_every == 0:
            record(step, eval_return=evaluate(agent, eval_env, args.eval_episodes))
            torch.save({"agent": agent.state_dict(), "step": step,
                        "optimizers": {k: o.state_dict() for k, o in agent.optimizers.items()}},
                       args.out / "checkpoint.pt")


if __name__ == "__main__":
    main()
