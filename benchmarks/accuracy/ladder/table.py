"""The table of docs/accuracy.md: recall by level and by size."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.accuracy.ladder.laundry import LEVELS
from benchmarks.accuracy.ladder.search import Outcome
from benchmarks.accuracy.page import share, table

THRESHOLD = 0.01
_ALL = 10**6
SIZES = ((1, 2), (3, 5), (6, 10), (11, 20), (21, _ALL), (6, _ALL))
"""fewest and most statements"""
TARGETS = (100, 99, 97, 90)
"""per cent, for functions of 6 or more statements"""


def ladder_table(found: Sequence[Outcome], hay: int) -> str:
    """Recall at the threshold, and in brackets how often the original came first."""
    packages = len({outcome.program for outcome in found})
    functions = len(_of(found, 1, (0, _ALL)))
    heads = [f"{low}-{high}:" if high < _ALL else f"{low}+:" for low, high in SIZES]
    rows = [
        ["functions", *(f"{len(_of(found, 1, size)):,}" for size in SIZES), ""],
        ["say enough for E <= 0.01", *(_enough(_of(found, 1, size)) for size in SIZES), ""],
    ]
    for level, name in enumerate(LEVELS, 1):
        cells = [_recall(_of(found, level, size)) for size in SIZES]
        rows.append([f"{level} {name}", *cells, f"{TARGETS[level - 1]} %"])
    return (
        f"{functions:,} functions of {packages} packages, laundered level upon level (each on top of those"
        f" above), each searched among {hay:,} units of other packages. Columns: statements. Found at"
        f" E <= {THRESHOLD}; in brackets, the original came first. The second row is what could be found if"
        " nothing had been changed.\n\n" + table(["level", *heads, "target 6+:"], rows)
    )


def _of(found: Sequence[Outcome], level: int, size: tuple[int, int]) -> list[Outcome]:
    return [o for o in found if o.level == level and size[0] <= o.function.statements <= size[1]]


def _enough(chosen: list[Outcome]) -> str:
    return share(sum(outcome.ceiling <= THRESHOLD for outcome in chosen), len(chosen))


def _recall(chosen: list[Outcome]) -> str:
    recalled = share(sum(outcome.e_value <= THRESHOLD for outcome in chosen), len(chosen))
    return f"{recalled} ({share(sum(outcome.first for outcome in chosen), len(chosen))})"
