"""Run the Flax learner on a continuous-control task from gymnasium."""
from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import flax.serialization
import gymnasium as gym
import numpy as np

from flaxwing import FlaxWing
from trajectory_store import TrajectoryStore


class Curve:
    KEYS = ["frame", "wall", "fit_score", "test_score", "test_dev",
            "critic_cost", "actor_cost", "temp", "entropy", "value_mean"]

    def __init__(self, target: Path, extend: bool = False):
        extend = extend and target.exists()
        self.stream = target.open("a" if extend else "w", newline="")
        self.rows = csv.DictWriter(self.stream, self.KEYS, restval="")
        if not extend:
            self.rows.writeheader()
        self.t0 = time.time()

    def add(self, frame: int, **figures: float) -> None:
        entry = {"frame": frame, "wall": round(time.time() - self.t0, 1), **figures}
        self.rows.writerow(entry)
        self.stream.flush()
        print("  ".join(f"{n}={x:.4g}" if isinstance(x, float) else f"{n}={x}" for n, x in entry.items()), flush=True)


def denormalise(move: np.ndarray, box: gym.spaces.Box) -> np.ndarray:
    """From [-1, 1] to the limits of the action space."""
    return box.low + 0.5 * (move + 1.0) * (box.high - box.low)


def measure(wing: FlaxWing, task: str, trials: int, rng_seed: int) -> tuple[float, float]:
    sim = gym.make(task)
    totals = []
    for trial in range(trials):
        observation, _ = sim.reset(seed=rng_seed + trial)
        collected, finished = 0.0, False
        while not finished:
            move = wing.move(observation[None], greedy=True)[0]
            observation, payoff, terminal, timeout, _ = sim.step(denormalise(move, sim.action_space))
            collected += float(payoff)
            finished = terminal or timeout
        totals.append(collected)
    sim.close()
    return float(np.mean(totals)), float(np.std(totals))


def flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="Pendulum-v1")
    parser.add_argument("--actors", type=int, default=4)
    parser.add_argument("--frames", type=int, default=500_000, help="frames, all actors together")
    parser.add_argument("--prefill", type=int, default=5_000, help="frames with uniform moves")
    parser.add_argument("--draw", type=int, default=256)
    parser.add_argument("--max-items", type=int, default=1_000_000)
    parser.add_argument("--updates-per-frame", type=float, default=1.0)
    parser.add_argument("--discounting", type=float, default=0.99)
    parser.add_argument("--unroll", type=int, default=1)
    parser.add_argument("--with-priorities", action="store_true")
    parser.add_argument("--is-power", type=float, default=0.4, help="grows linearly to 1")
    parser.add_argument("--no-standardise", action="store_true")
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--step-size", type=float, default=3e-4)
    parser.add_argument("--measure-every", type=int, default=10_000)
    parser.add_argument("--measure-trials", type=int, default=10)
    parser.add_argument("--workdir", type=Path, default=Path("out/flaxwing"))
    parser.add_argument("--restore", type=Path)
    parser.add_argument("--rng-seed", type=int, default=0)
    return parser.parse_args()


def run() -> None:
    cfg = flags()
    cfg.workdir.mkdir(parents=True, exist_ok=True)

    sims = gym.make_vec(cfg.task, num_envs=cfg.actors, vectorization_mode="sync")
    box = sims.single_action_space
    observation_size = int(np.prod(sims.single_observation_space.shape))
    move_size = int(np.prod(box.shape))
    wing = FlaxWing(observation_size, move_size, cfg.units, cfg.step_size,
                    standardise=not cfg.no_standardise, rng_seed=cfg.rng_seed)
    store = TrajectoryStore(cfg.max_items, observation_size, move_size, cfg.actors, cfg.discounting,
                            cfg.unroll, cfg.with_priorities, rng_seed=cfg.rng_seed)
    curve = Curve(cfg.workdir / "curve.csv", extend=cfg.restore is not None)
    generator = np.random.default_rng(cfg.rng_seed)

    frame, top = 0, -np.inf
    if cfg.restore:
        saved = flax.serialization.msgpack_restore(cfg.restore.read_bytes())
        wing.restore(saved["wing"])
        frame, top = saved["frame"], saved["top"]
    uniform_until = 0 if cfg.restore else cfg.prefill
    update_from = frame + cfg.prefill  # the store starts empty after a restore as well

    observations, _ = sims.reset(seed=cfg.rng_seed)
    wing.watch(observations)
    # from gymnasium 1.0 an actor that finished is reset by the following step, which is no transition
    being_reset = np.zeros(cfg.actors, dtype=bool)
    current, complete = np.zeros(cfg.actors), []
    figures: dict[str, float] = {}
    pending, measure_at = 0.0, frame + cfg.measure_every

    while frame < cfg.frames:
        if frame < uniform_until:
            moves = generator.uniform(-1, 1, (cfg.actors, move_size)).astype(np.float32)
        else:
            moves = wing.move(observations)
        following, payoff, terminal, timeout, _ = sims.step(denormalise(moves, box))
        wing.watch(following)
        for a in np.flatnonzero(~being_reset):
            store.append(a, observations[a], moves[a], float(payoff[a]), following[a],
                         bool(terminal[a]), bool(timeout[a]))
            current[a] += payoff[a]
            if terminal[a] or timeout[a]:
                complete.append(current[a])
                current[a] = 0.0
        frame += int((~being_reset).sum())
        pending += cfg.updates_per_frame * float((~being_reset).sum())
        being_reset = terminal | timeout
        observations = following

        if frame < update_from:
            pending = 0.0
        is_power = cfg.is_power + (1.0 - cfg.is_power) * min(1.0, frame / cfg.frames)
        while pending >= 1.0:
            samples, items = store.draw(cfg.draw, is_power)
            figures, td = wing.learn(samples)
            store.reweigh(items, td)
            pending -= 1.0

        if frame >= measure_at:
            measure_at += cfg.measure_every
            average, deviation = measure(wing, cfg.task, cfg.measure_trials, cfg.rng_seed + 10_000)
            fit_score = float(np.mean(complete)) if complete else float("nan")
            curve.add(frame, fit_score=fit_score, test_score=average, test_dev=deviation, **figures)
            complete.clear()
            better, top = average > top, max(average, top)
            saved = {"wing": wing.export(), "frame": frame, "top": top, "task": cfg.task}
            blob = flax.serialization.msgpack_serialize(saved)
            (cfg.workdir / "newest.msgpack").write_bytes(blob)
            if better:
                (cfg.workdir / "top.msgpack").write_bytes(blob)
    sims.close()


if __name__ == "__main__":
    run()
