"""Command line."""
from argparse import ArgumentParser
from pathlib import Path

NUMBERS = [
    # flag, default, help
    ("--decisions", 200_000, "length of the run"),
    ("--blind-start", 2_000, "random decisions before the brain takes over"),
    ("--lesson-gap", 5, "decisions from one lesson to the next"),
    ("--exam-gap", 10_000, "decisions from one exam to the next"),
    ("--exam-episodes", 5, None),
    ("--pages", 32, "sequences in a lesson"),
    ("--span", 50, "length of a sequence"),
    ("--diary-limit", 200_000, None),
    ("--hold", 2, "ticks per decision"),
    ("--seed", 0, None),
    ("--noise", 0.3, "shake on top of the drawn action"),
]


def read_options():
    parser = ArgumentParser(description="Learn a task by dreaming about it.")
    for flag, default, text in NUMBERS:
        parser.add_argument(flag, type=type(default), default=default, help=text)
    parser.add_argument("--task", default="Pendulum-v1")
    parser.add_argument("--where", type=Path, default=Path("out/reverie"))
    parser.add_argument("--from-file", type=Path, help="saved brain; its diary is not kept")
    return parser.parse_args()
