"""Loss of `candidates()` and of MinHash with LSH, against scoring every pair of units.

    python -m benchmarks.candidates [--write docs/candidates.md] A B [A B ...]

The exact join scores all pairs of units that share any term at all and keeps those with E <= 0.01: these are
the pairs that could be reported. The table says how many of them each way of choosing candidates lost.
With --write, the table replaces what stands between the markers of the file.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.background import Background
from detector.candidate import candidate
from detector.candidate.bag import Bags, bags
from detector.candidate.candidate import Candidates, candidates, joined
from detector.candidate.sketch import sketched
from detector.fingerprint.repository import fingerprint_snapshots
from detector.match.chance import Common, law
from detector.snapshot import open_snapshot

_MARKS = ("<!-- benchmarks.candidates -->", "<!-- end -->")
_THRESHOLD = 0.01


def large(a: Bags, b: Bags) -> Candidates:
    """What `candidates()` does with repositories beyond the exact join's size."""
    rare, alike = joined(a, b, postings=candidate.POSTINGS // 40), sketched(a, b)
    keys = np.union1d(rare.a * len(b) + rare.b, alike.a * len(b) + alike.b)
    return Candidates(keys // len(b), keys % len(b))


WAYS: dict[str, Callable[[Bags, Bags], Candidates]] = {
    "join of rare terms": candidates,
    "MinHash + LSH": sketched,
    "LSH + rarest terms": large,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One way on one pair of repositories."""

    pair: str
    reportable: int
    way: str
    pairs: int
    lost: int
    seconds: float


def keys(pairs: Candidates, width: int) -> NDArray[np.int64]:
    """One number for each pair."""
    return pairs.a * width + pairs.b


def reportable(a: Bags, b: Bags) -> NDArray[np.int64]:
    """Every pair of units that the law would let pass, found without candidates."""
    found = []
    for unit in range(len(a)):
        every = Candidates(np.full(len(b), unit), np.arange(len(b)))
        scored = Common.of(one(a, unit), b).limited(shifted(every), law())
        passing = [law().expected(score, len(a) * len(b)) <= _THRESHOLD for score in scored.tolist()]
        found.append(keys(every, len(b))[passing])
    return np.concatenate(found)


def one(side: Bags, unit: int) -> Bags:
    """A side of one unit."""
    terms, bits = side.of(unit)
    return Bags(terms, bits, np.array([0, len(terms)]), side.sizes[unit : unit + 1])


def shifted(pairs: Candidates) -> Candidates:
    """The same pairs for a side of one unit."""
    return Candidates(np.zeros_like(pairs.a), pairs.b)


def measure(source_a: str, source_b: str) -> list[Row]:
    """All ways on one pair of sources."""
    background = Background.open()
    snapshots = [open_snapshot(source_a), open_snapshot(source_b)]
    a, b = (bags(p.fingerprints, background.bits) for p in fingerprint_snapshots(snapshots))
    wanted = reportable(a, b)
    name = " / ".join(source.partition("@")[0].rpartition("/")[2] for source in (source_a, source_b))
    rows = []
    for way, choose in WAYS.items():
        started = time.perf_counter()
        chosen = keys(choose(a, b), len(b))
        seconds = time.perf_counter() - started
        lost = len(wanted) - len(np.intersect1d(wanted, chosen))
        rows.append(Row(name, len(wanted), way, len(chosen), lost, seconds))
    return rows


def table(rows: list[Row]) -> str:
    """Markdown, one line for each row."""
    lines = [
        "| repositories | reportable pairs | way | candidates | lost | lost, % | seconds |",
        "|---|---:|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        share = 100 * row.lost / max(1, row.reportable)
        lines.append(
            f"| {row.pair} | {row.reportable:,} | {row.way} | {row.pairs:,} | {row.lost:,} | {share:.2f} "
            f"| {row.seconds:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.candidates")
    parser.add_argument("--write", type=Path)
    parser.add_argument("sources", nargs="+")
    given = parser.parse_args()
    if len(given.sources) % 2:
        sys.exit("give sources in pairs: A B [A B ...]")
    rows = [
        row for a, b in zip(given.sources[::2], given.sources[1::2], strict=True) for row in measure(a, b)
    ]
    print(table(rows))
    if given.write:
        before, _, rest = given.write.read_text("utf-8").partition(_MARKS[0])
        after = rest.partition(_MARKS[1])[2]
        given.write.write_text(f"{before}{_MARKS[0]}\n{table(rows)}\n{_MARKS[1]}{after}", "utf-8")


if __name__ == "__main__":
    main()
