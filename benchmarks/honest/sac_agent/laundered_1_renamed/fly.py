"""Teach the pilot one gymnasium task whose controls are continuous."""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch

from experience import ExperienceStore
from learner import TorquePilot


class Journal:
    COLUMNS = [
        "tick",
        "elapsed",
        "practice_score",
        "exam_score",
        "exam_spread",
        "judge_cost",
        "actor_cost",
        "heat",
        "chaos",
        "value_mean",
    ]

    def __init__(
        self,
        where: Path,
        keep: bool = False,
    ):
        keep = keep and where.exists()
        self.handle = where.open("a" if keep else "w", newline="")
        self.table = csv.DictWriter(
            self.handle,
            self.COLUMNS,
            restval="",
        )
        if not keep:
            self.table.writeheader()
        self.began = time.time()

    def note(
        self,
        tick: int,
        **numbers: float,
    ) -> None:
        line = {
            "tick": tick,
            "elapsed": round(time.time() - self.began, 1),
            **numbers,
        }
        self.table.writerow(line)
        self.handle.flush()
        print(
            "  ".join(
                f"{name}={number:.4g}"
                if isinstance(number, float)
                else f"{name}={number}"
                for name, number in line.items()
            ),
            flush=True,
        )


def to_bounds(
    control: np.ndarray,
    box: gym.spaces.Box,
) -> np.ndarray:
    """Stretch the unit interval onto what the simulator accepts."""
    return box.low + 0.5 * (control + 1.0) * (box.high - box.low)


def examine(
    pilot: TorquePilot,
    task: str,
    rounds: int,
    rand_seed: int,
) -> tuple[float, float]:
    world = gym.make(task)
    scores = []
    for turn in range(rounds):
        state, _ = world.reset(seed=rand_seed + turn)
        score, over = 0.0, False
        while not over:
            control = pilot.choose(state[None], greedy=True)[0]
            state, gain, ended, cut, _ = world.step(
                to_bounds(control, world.action_space)
            )
            score += float(gain)
            over = ended or cut
        scores.append(score)
    world.close()
    return float(np.mean(scores)), float(np.std(scores))


def read_options() -> argparse.Namespace:
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("--task", default="Pendulum-v1")
    cli.add_argument("--workers", type=int, default=4)
    cli.add_argument(
        "--ticks",
        type=int,
        default=500_000,
        help="simulator ticks summed over the workers",
    )
    cli.add_argument(
        "--blind",
        type=int,
        default=5_000,
        help="ticks flown without the actor",
    )
    cli.add_argument("--minibatch", type=int, default=256)
    cli.add_argument("--room", type=int, default=1_000_000)
    cli.add_argument(
        "--ratio",
        type=float,
        default=1.0,
        help="improvements for each simulator tick",
    )
    cli.add_argument("--decay-rate", type=float, default=0.99)
    cli.add_argument("--lookahead", type=int, default=1)
    cli.add_argument("--by-surprise", action="store_true")
    cli.add_argument(
        "--correction",
        type=float,
        default=0.4,
        help="where the correction exponent begins; it ends at 1",
    )
    cli.add_argument("--raw-inputs", action="store_true")
    cli.add_argument("--units", type=int, default=256)
    cli.add_argument("--rate", type=float, default=3e-4)
    cli.add_argument("--exam-every", type=int, default=10_000)
    cli.add_argument("--exam-rounds", type=int, default=10)
    cli.add_argument("--folder", type=Path, default=Path("flights/pilot"))
    cli.add_argument("--go-on", type=Path)
    cli.add_argument("--rand-seed", type=int, default=0)
    return cli.parse_args()


def fly() -> None:
    opts = read_options()
    torch.manual_seed(opts.rand_seed)
    place = "cuda" if torch.cuda.is_available() else "cpu"
    opts.folder.mkdir(parents=True, exist_ok=True)

    worlds = gym.make_vec(
        opts.task,
        num_envs=opts.workers,
        vectorization_mode="sync",
    )
    box = worlds.single_action_space
    state_size, control_size = (
        int(np.prod(worlds.single_observation_space.shape)),
        int(np.prod(box.shape)),
    )
    pilot = TorquePilot(
        state_size,
        control_size,
        opts.units,
        opts.rate,
        scale_inputs=not opts.raw_inputs,
        place=place,
    )
    store = ExperienceStore(
        opts.room,
        state_size,
        control_size,
        opts.workers,
        opts.decay_rate,
        opts.lookahead,
        opts.by_surprise,
        rand_seed=opts.rand_seed,
    )
    journal = Journal(
        opts.folder / "journal.csv",
        keep=opts.go_on is not None,
    )
    dice = np.random.default_rng(opts.rand_seed)

    tick, record = 0, -np.inf
    if opts.go_on:
        snapshot = torch.load(opts.go_on, map_location=place)
        pilot.load_state_dict(snapshot["pilot"])
        tick, record = snapshot["tick"], snapshot["record"]
    blind_until = 0 if opts.go_on else opts.blind
    improve_from = tick + opts.blind  # old experience is lost on a restart, gather some first

    state, _ = worlds.reset(seed=opts.rand_seed)
    pilot.watch(state)
    # newer gymnasium spends one call on restarting a worker; nothing is learnt from that call
    restarting = np.zeros(opts.workers, dtype=bool)
    ongoing, closed = np.zeros(opts.workers), []
    stats: dict[str, float] = {}
    debt, exam_at = 0.0, tick + opts.exam_every

    while tick < opts.ticks:
        if tick < blind_until:
            control = dice.uniform(
                -1, 1, (opts.workers, control_size)
            ).astype(np.float32)
        else:
            control = pilot.choose(state)
        later_state, gain, ended, cut, _ = worlds.step(
            to_bounds(control, box)
        )
        pilot.watch(later_state)
        for who in np.flatnonzero(~restarting):
            store.record(
                who,
                state[who],
                control[who],
                float(gain[who]),
                later_state[who],
                bool(ended[who]),
                bool(cut[who]),
            )
            ongoing[who] += gain[who]
            if ended[who] or cut[who]:
                closed.append(ongoing[who])
                ongoing[who] = 0.0
        tick += int((~restarting).sum())
        debt += opts.ratio * float((~restarting).sum())
        restarting = ended | cut
        state = later_state

        if tick < improve_from:
            debt = 0.0
        correction = opts.correction + (1.0 - opts.correction) * min(
            1.0, tick / opts.ticks
        )
        while debt >= 1.0:
            mini = store.draw(opts.minibatch, correction, place)
            stats, gap = pilot.improve(mini)
            store.refresh_surprise(mini.slots, gap)
            debt -= 1.0

        if tick >= exam_at:
            exam_at += opts.exam_every
            average, deviation = examine(
                pilot,
                opts.task,
                opts.exam_rounds,
                opts.rand_seed + 10_000,
            )
            practice_score = (
                float(np.mean(closed)) if closed else float("nan")
            )
            journal.note(
                tick,
                practice_score=practice_score,
                exam_score=average,
                exam_spread=deviation,
                **stats,
            )
            closed.clear()
            better, record = average > record, max(average, record)
            snapshot = {
                "pilot": pilot.state_dict(),
                "tick": tick,
                "record": record,
                "task": opts.task,
            }
            torch.save(snapshot, opts.folder / "newest.pt")
            if better:
                torch.save(snapshot, opts.folder / "finest.pt")
    worlds.close()


if __name__ == "__main__":
    fly()
