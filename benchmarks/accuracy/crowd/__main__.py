"""Compare every pair of many public repositories: `python -m benchmarks.accuracy.crowd [--mirror DIR]`.

Nearly all of these pairs have nothing to do with each other; the verdict must say so. Those of which it says
more than weak are listed, to be looked at. Repositories are taken from DIR/owner+name/repo where that exists,
else from GitHub. Histories are not read.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import combinations
from pathlib import Path

from benchmarks.accuracy.mirror import opened
from benchmarks.accuracy.page import table, write_section
from detector import compare
from detector.evidence.finding import Strength
from detector.evidence.leftover.numbers import common_numbers
from detector.evidence.words import Words, read_words
from detector.options import Options
from detector.report.verdict import Weight, counts, independent, weigh
from detector.report.wording import STRENGTHS, scale_step
from detector.snapshot import Snapshot

LIST = Path(__file__).with_name("repositories.txt")
_OPTIONS = Options(history=False, jobs=1)
_SEVERAL = 5
"""moderate findings from which the first table does not tell numbers apart"""


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair of repositories by name, its verdict, what it was measured from, and the link of all numbers."""

    a: str
    b: str
    verdict: Strength
    weight: Weight
    link: float


def sources() -> list[str]:
    """The repositories of the list."""
    return [line for line in LIST.read_text().splitlines() if line and not line.startswith("#")]


def pairs(mirror: Path | None) -> list[Pair]:
    """Compare each with all that come after it."""
    wanted = sources()
    for source in wanted:
        _opened(source, mirror)  # one after the other: processes would clone the same thing at the same time
    with ProcessPoolExecutor() as processes:
        return list(processes.map(partial(_pair, mirror), *zip(*combinations(wanted, 2), strict=True)))


def _pair(mirror: Path | None, a: str, b: str) -> Pair:
    (left, words_left), (right, words_right) = _opened(a, mirror), _opened(b, mirror)
    report = compare(left, right, _OPTIONS)
    shares = report.summary.share_a, report.summary.share_b
    weight = weigh(independent(filter(counts, report.findings)), report.renames, shares)
    link = common_numbers(words_left, words_right, ()).link
    return Pair(left.label, right.label, report.summary.verdict, weight, link)


@cache
def _opened(source: str, mirror: Path | None) -> tuple[Snapshot, Words]:
    """A repository and its words, opened once in each process."""
    snapshot = opened(source, mirror, _OPTIONS)
    return snapshot, read_words(snapshot, "")[0]


def _few(found: Sequence[Pair]) -> str:
    """How many pairs have how many moderate findings, by verdict."""
    rows = []
    for verdict in STRENGTHS:
        several = Counter(min(pair.weight.moderate, _SEVERAL) for pair in found if pair.verdict == verdict)
        if several:
            rows.append(
                (verdict, several.total(), *(several[number] or "" for number in range(_SEVERAL + 1)))
            )
    heads = [f"{number}:" for number in range(_SEVERAL)]
    return table(["verdict", "pairs:", *heads, f"{_SEVERAL} or more:"], rows)


def _linked(found: Sequence[Pair]) -> str:
    """The closest link between the numbers of two repositories of which no more than weak is said."""
    most = max(pair.link for pair in found if scale_step(pair.verdict) <= scale_step("weak"))
    return f"The numbers of a pair that is none or weak link by {most:.0f} bits at most."


def _above_weak(found: Sequence[Pair]) -> str:
    """The pairs of which more than weak is said, those with most evidence first."""
    above = [pair for pair in found if scale_step(pair.verdict) > scale_step("weak")]
    above.sort(key=lambda pair: (-scale_step(pair.verdict), -pair.weight.bits))
    return table(
        ["A", "B", "verdict", "moderate:", "strong:", "kinds:", "bits:", "best:", "share:", "both:"],
        (
            (
                pair.a, pair.b, pair.verdict, pair.weight.moderate, pair.weight.strong, pair.weight.classes,
                f"{pair.weight.bits:,.0f}", f"{pair.weight.best:.0f}", f"{pair.weight.share:.0%}",
                f"{pair.weight.both:.0%}",
            )
            for pair in above
        ),
    )  # fmt: skip


def main() -> None:
    """Compare and write the section of docs/accuracy.md."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--mirror", type=Path)
    found = pairs(options.parse_args().mirror)
    write_section("crowd", f"{_few(found)}\n\n{_linked(found)}\n\n{_above_weak(found)}")


if __name__ == "__main__":
    main()
