"""Train SAC on a gymnasium task with a box action space."""
from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch

from agent import SAC
from replay import ReplayBuffer


class CsvLogger:
    FIELDS = ["step", "seconds", "train_return", "eval_return", "eval_std",
              "critic_loss", "policy_loss", "alpha", "entropy", "q_mean"]

    def __init__(self, path: Path, append: bool = False):
        append = append and path.exists()
        self.file = path.open("a" if append else "w", newline="")
        self.writer = csv.DictWriter(self.file, self.FIELDS, restval="")
        if not append:
            self.writer.writeheader()
        self.start = time.time()

    def write(self, step: int, **values: float) -> None:
        row = {"step": step, "seconds": round(time.time() - self.start, 1), **values}
        self.writer.writerow(row)
        self.file.flush()
        print("  ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items()), flush=True)


def rescale(action: np.ndarray, space: gym.spaces.Box) -> np.ndarray:
    """Map actions from [-1, 1] to the bounds of the environment."""
    return space.low + 0.5 * (action + 1.0) * (space.high - space.low)


def evaluate(agent: SAC, env_id: str, episodes: int, seed: int) -> tuple[float, float]:
    env = gym.make(env_id)
    returns = []
    for episode in range(episodes):
        obs, _ = env.reset(seed=seed + episode)
        total, done = 0.0, False
        while not done:
            action = agent.act(obs[None], deterministic=True)[0]
            obs, reward, terminated, truncated, _ = env.step(rescale(action, env.action_space))
            total += float(reward)
            done = terminated or truncated
        returns.append(total)
    env.close()
    return float(np.mean(returns)), float(np.std(returns))


def parse_args() -> argparse.Namespace:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--env", default="Pendulum-v1")
    ap.add_argument("--num-envs", type=int, default=4)
    ap.add_argument("--steps", type=int, default=500_000, help="environment steps over all copies")
    ap.add_argument("--warmup", type=int, default=5_000, help="steps with random actions")
    ap.add_argument("--batch-size", type=int, default=256)
    ap.add_argument("--buffer-size", type=int, default=1_000_000)
    ap.add_argument("--utd", type=float, default=1.0, help="gradient steps per environment step")
    ap.add_argument("--gamma", type=float, default=0.99)
    ap.add_argument("--n-step", type=int, default=1)
    ap.add_argument("--prioritised", action="store_true")
    ap.add_argument("--beta", type=float, default=0.4, help="initial importance exponent, annealed to 1")
    ap.add_argument("--no-obs-norm", action="store_true")
    ap.add_argument("--hidden", type=int, default=256)
    ap.add_argument("--lr", type=float, default=3e-4)
    ap.add_argument("--eval-every", type=int, default=10_000)
    ap.add_argument("--eval-episodes", type=int, default=10)
    ap.add_argument("--out", type=Path, default=Path("runs/sac"))
    ap.add_argument("--resume", type=Path)
    ap.add_argument("--seed", type=int, default=0)
    return ap.parse_args()


def main() -> None:
    args = parse_args()
    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    args.out.mkdir(parents=True, exist_ok=True)

    envs = gym.make_vec(args.env, num_envs=args.num_envs, vectorization_mode="sync")
    space = envs.single_action_space
    obs_dim, act_dim = int(np.prod(envs.single_observation_space.shape)), int(np.prod(space.shape))
    agent = SAC(obs_dim, act_dim, args.hidden, args.lr, normalise=not args.no_obs_norm, device=device)
    buffer = ReplayBuffer(args.buffer_size, obs_dim, act_dim, args.num_envs, args.gamma,
                          args.n_step, args.prioritised, seed=args.seed)
    logger = CsvLogger(args.out / "log.csv", append=args.resume is not None)
    rng = np.random.default_rng(args.seed)

    step, best = 0, -np.inf
    if args.resume:
        state = torch.load(args.resume, map_location=device)
        agent.load_state_dict(state["agent"])
        step, best = state["step"], state["best"]
    random_until = 0 if args.resume else args.warmup
    learn_from = step + args.warmup  # the buffer is not saved, so it is refilled after a resume

    obs, _ = envs.reset(seed=args.seed)
    agent.observe(obs)
    # gymnasium >= 1.0 resets a finished copy on its next step; that step carries no transition.
    resetting = np.zeros(args.num_envs, dtype=bool)
    running, finished = np.zeros(args.num_envs), []
    metrics: dict[str, float] = {}
    owed, next_eval = 0.0, step + args.eval_every

    while step < args.steps:
        if step < random_until:
            action = rng.uniform(-1, 1, (args.num_envs, act_dim)).astype(np.float32)
        else:
            action = agent.act(obs)
        next_obs, reward, terminated, truncated, _ = envs.step(rescale(action, space))
        agent.observe(next_obs)
        for i in np.flatnonzero(~resetting):
            buffer.add(i, obs[i], action[i], float(reward[i]), next_obs[i], bool(terminated[i]), bool(truncated[i]))
            running[i] += reward[i]
            if terminated[i] or truncated[i]:
                finished.append(running[i])
                running[i] = 0.0
        step += int((~resetting).sum())
        owed += args.utd * float((~resetting).sum())
        resetting = terminated | truncated
        obs = next_obs

        if step < learn_from:
            owed = 0.0
        beta = args.beta + (1.0 - args.beta) * min(1.0, step / args.steps)
        while owed >= 1.0:
            batch = buffer.sample(args.batch_size, beta, device)
            metrics, error = agent.update(batch)
            buffer.update_priorities(batch.index, error)
            owed -= 1.0

        if step >= next_eval:
            next_eval += args.eval_every
            mean, std = evaluate(agent, args.env, args.eval_episodes, args.seed + 10_000)
            train_return = float(np.mean(finished)) if finished else float("nan")
            logger.write(step, train_return=train_return, eval_return=mean, eval_std=std, **metrics)
            finished.clear()
            improved, best = mean > best, max(mean, best)
            state = {"agent": agent.state_dict(), "step": step, "best": best, "env": args.env}
            torch.save(state, args.out / "last.pt")
            if improved:
                torch.save(state, args.out / "best.pt")
    envs.close()


if __name__ == "__main__":
    main()
