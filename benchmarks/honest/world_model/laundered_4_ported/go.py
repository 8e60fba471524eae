"""Run the walker on a task: gather, learn, test, report, store."""
import argparse
import json
from pathlib import Path

import jax
import numpy as np
from flax import serialization

from gym_io import ScreenTask, TrajectoryBank
from walker import Walker


class KeyChain:
    """Hands out one fresh random key after another."""

    def __init__(self, seed):
        self.key = jax.random.PRNGKey(seed)

    def __call__(self):
        self.key, out = jax.random.split(self.key)
        return out


def test(walker, weights, task, keys, n_runs):
    sums = []
    for _ in range(n_runs):
        screen, memory, payoff_sum, finished = task.begin(), walker.no_memory(), 0.0, False
        while not finished:
            control, memory = walker.choose(weights, screen, memory, keys(), mode_only=True)
            screen, payoff, ended, cut = task.apply(control)
            payoff_sum += payoff
            finished = ended or cut
        sums.append(payoff_sum)
    return float(np.mean(sums))


def parse():
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("--task", default="Pendulum-v1")
    cli.add_argument("--dest", type=Path, default=Path("logs/latentwalk"))
    cli.add_argument("--continue-from", type=Path, help="stored state (the bank is not stored)")
    cli.add_argument("--controls", type=int, default=200_000, help="controls applied in total")
    cli.add_argument("--random-controls", type=int, default=2_000, help="of these random at first")
    cli.add_argument("--learn-each", type=int, default=5)
    cli.add_argument("--test-each", type=int, default=10_000)
    cli.add_argument("--test-runs", type=int, default=5)
    cli.add_argument("--n-seq", type=int, default=32)
    cli.add_argument("--seq-len", type=int, default=50)
    cli.add_argument("--room", type=int, default=200_000)
    cli.add_argument("--skip", type=int, default=2)
    cli.add_argument("--shake", type=float, default=0.3)
    cli.add_argument("--seed", type=int, default=0)
    return cli.parse_args()


def run(cfg):
    keys = KeyChain(cfg.seed)
    random = np.random.default_rng(cfg.seed)
    cfg.dest.mkdir(parents=True, exist_ok=True)
    task = ScreenTask(cfg.task, cfg.skip, cfg.seed)
    test_task = ScreenTask(cfg.task, cfg.skip, cfg.seed + 1000)
    bank = TrajectoryBank(cfg.room, task.control_size, cfg.seed)
    walker = Walker(task.control_size)
    state = walker.create(keys())

    origin = 0
    if cfg.continue_from:
        stored = serialization.from_bytes({"state": state, "tick": 0}, cfg.continue_from.read_bytes())
        state, origin = stored["state"], int(stored["tick"])

    def report(tick, **numbers):
        entry = {"tick": tick, **{name: round(number, 5) for name, number in numbers.items()}}
        print("  ".join(f"{name} {number}" for name, number in entry.items()), flush=True)
        with open(cfg.dest / "report.jsonl", "a") as out:
            out.write(json.dumps(entry) + "\n")

    def begin_run():
        screen = task.begin()
        bank.store(screen=screen, control=0.0, payoff=0.0, going=1.0, fresh=1.0)
        return screen, walker.no_memory(), 0.0

    screen, memory, payoff_sum = begin_run()
    gathered = []
    random_until = max(cfg.random_controls, cfg.seq_len)
    for tick in range(origin + 1, cfg.controls + 1):
        if tick <= random_until and not cfg.continue_from:
            control = random.uniform(-1, 1, task.control_size).astype(np.float32)
        else:
            control, memory = walker.choose(state.weights, screen, memory, keys(), cfg.shake)
        screen, payoff, ended, cut = task.apply(control)
        bank.store(screen=screen, control=control, payoff=payoff, going=1.0 - ended, fresh=0.0)
        payoff_sum += payoff
        if ended or cut:
            report(tick, run_payoff=payoff_sum)
            screen, memory, payoff_sum = begin_run()

        if tick - origin > random_until and tick % cfg.learn_each == 0:
            state, numbers = walker.learn(state, bank.draw(cfg.n_seq, cfg.seq_len), keys())
            gathered.append(jax.device_get(numbers))
            if len(gathered) == 100:
                report(tick, **{name: float(np.mean([g[name] for g in gathered]))
                                for name in gathered[0]})
                gathered.clear()
        if tick % cfg.test_each == 0:
            report(tick, test_payoff=test(walker, state.weights, test_task, keys, cfg.test_runs))
            packed = serialization.to_bytes({"state": state, "tick": tick})
            (cfg.dest / "state.msgpack").write_bytes(packed)


if __name__ == "__main__":
    run(parse())
