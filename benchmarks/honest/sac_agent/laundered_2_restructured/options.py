"""Options of the command line."""
from argparse import ArgumentParser
from pathlib import Path

WITH_VALUE = {
    "lr": 3e-4,
    "gamma": 0.99,
    "beta": 0.4,
    "ratio": 1.0,
    "seed": 0,
    "width": 256,
    "batch": 256,
    "slots": 1_000_000,
    "horizon": 1,
    "copies": 4,
    "total": 500_000,
    "random-first": 5_000,
    "test-every": 10_000,
    "test-runs": 10,
    "world": "Pendulum-v1",
}


def read():
    parser = ArgumentParser(description="Drive a rover with soft actor-critic.")
    for name, value in WITH_VALUE.items():
        parser.add_argument(f"--{name}", default=value, type=type(value))
    for switch in ("prioritised", "no-whitening"):
        parser.add_argument(f"--{switch}", action="store_true")
    parser.add_argument("--into", default="results/rover", type=Path)
    parser.add_argument("--continue-from", default=None, type=Path)
    return parser.parse_args()
