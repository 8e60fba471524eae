"""What came out, as Markdown: tools against levels of the ladder, and tools against repositories."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.accuracy.page import table
from benchmarks.accuracy.peers.measures import Pair, area, first, recall_without_false
from benchmarks.accuracy.peers.running import Run
from benchmarks.accuracy.peers.work import Work

_COST = ("time:", "processor time:", "memory:")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tool made of each work; None where it did not finish."""

    tool: str
    runs: tuple[Run | None, ...]


def machine() -> str:
    """What this ran on, for example `Linux x86_64, 2 processors, Python 3.11.2`."""
    system, python = f"{platform.system()} {platform.machine()}", platform.python_version()
    return f"{system}, {os.cpu_count()} processors, Python {python}"


def function_table(outcomes: Sequence[Outcome], works: Sequence[Work]) -> str:
    """A row for each tool, a column for each level, and what all levels cost together."""
    rows = [[outcome.tool, *map(_cell, outcome.runs, works), *_cost(outcome.runs)] for outcome in outcomes]
    return table(["tool", *(work.name for work in works), *_COST], rows)


def repository_table(outcomes: Sequence[Outcome], work: Work) -> str:
    """A row for each tool."""
    rows = [
        [outcome.tool, *_cell(outcome.runs[0], work).split(" / "), *_cost(outcome.runs)]
        for outcome in outcomes
        if outcome.runs[0]
    ]
    return table(["tool", "before the first false:", "right one first:", "area:", *_COST], rows)


def score_table(outcomes: Sequence[Outcome], work: Work) -> str:
    """A row for each pair of which it is known: what it is, and every tool's score."""
    finished = [(outcome.tool, outcome.runs[0].scores) for outcome in outcomes if outcome.runs[0]]
    rows = [
        [
            *(name.replace("+", "/") for name in reversed(pair)),
            "derived" if pair in work.true else "independent",
        ]
        + [_number(scores.get(pair, 0.0), scores) for _, scores in finished]
        for pair in (*sorted(work.true), *sorted(work.false))
    ]
    return table(["A", "B", "known relation", *(f"{tool}:" for tool, _ in finished)], rows)


def _cell(run: Run | None, work: Work) -> str:
    if run is None:
        return "-"
    counted = work.counted(run.scores)
    shares = (recall_without_false(counted, work.true), first(run.scores, work.true))
    return f"{' / '.join(f'{100 * share:.0f} %' for share in shares)} / {area(counted, work.true):.2f}"


def _number(score: float, scores: Mapping[Pair, float]) -> str:
    """A share with two digits; a weight, of a tool whose scores are no shares, as a whole number."""
    return f"{score:.2f}" if max(scores.values(), default=0.0) <= 1 else f"{score:,.0f}"


def _cost(runs: Sequence[Run | None]) -> tuple[str, str, str]:
    done = [run for run in runs if run]
    return (
        f"{sum(run.seconds for run in done):.0f} s",
        f"{sum(run.processor for run in done):.0f} s",
        f"{max((run.megabytes for run in done), default=0):.0f} MB",
    )
