"""Recall of marked copies and precision of the rest: `python -m benchmarks.accuracy.copied`.

Writes its section of docs/accuracy.md, and under benchmarks/.cache the marked pairs that were missed and the
sampled findings with their code, to be judged by reading (benchmarks/accuracy/copied/labels.tsv).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import get_args

from benchmarks.accuracy.copied.marks import Marks, marks
from benchmarks.accuracy.copied.recall import SIZES, Result, results
from benchmarks.accuracy.copied.sample import JUDGEMENTS, Sampled, sampled, side_by_side
from benchmarks.accuracy.library import CACHE, side, sources
from benchmarks.accuracy.page import share, table, write_section
from detector.match.correspondence import Basis

SAMPLE = 200
NOT_READ = "not read"
LEAST = 4
"""statements of the pairs that the target speaks of"""


def _recall(found: Sequence[Result], units: int) -> str:
    classes = [
        *((f"{low} to {high}" if high < 1000 else f"{low} and more", low, high) for low, high in SIZES),
        *((f"**{low} and more**", low, 10_000) for low in (2, LEAST)),
    ]
    rows = []
    for label, low, high in classes:
        here = [result for result in found if low <= result.pair.statements <= high]
        count = len(here)
        rows.append(
            (
                label,
                f"{count:,}",
                share(sum(result.found for result in here), count),
                share(sum(result.found or result.twin for result in here), count),
                share(sum(result.significant for result in here), count),
                share(sum(result.in_package for result in here), count),
                share(sum(result.apart for result in here), count),
            )
        )
    heads = ("statements", "marked pairs:", "reported:", "or an equal one is:", "by itself, file to file:",
             f"by itself, among {units:,}^2:", "reported, but set apart:")  # fmt: skip
    return table(heads, rows)


def _precision(chosen: Sequence[Sampled]) -> str:
    counts = Counter((finding.judgement or NOT_READ, finding.basis) for finding in chosen)
    bases = get_args(Basis)
    rows = []
    for judgement in (*JUDGEMENTS, NOT_READ):
        here = [counts[judgement, basis] for basis in bases]
        rows.append((judgement, sum(here), *here))
    return table(("judgement", "findings:", *(f"E of the {basis}:" for basis in bases)), rows)


def _missed(read: Marks, found: Sequence[Result]) -> str:
    lines = [f"mark without a unit: {path}:{line} {name}" for path, line, name in read.unresolved]
    for result in found:
        if not result.found and result.pair.statements >= LEAST:
            copy, original = (
                side(place.path).units[place.row].unit for place in (result.pair.copy, result.pair.original)
            )
            held = f"{result.pair.statements} statements, score {result.score:.0f} of {result.whole:.0f}"
            instead = f", paired with {result.partner}" if result.partner else ""
            places = f"{copy.path}::{copy.name} from {original.path}::{original.name}"
            lines.append(f"{held}{instead}: {places}")
    return "\n".join(lines)


def main() -> None:
    """Write the section and the two lists."""
    read = marks()
    units = sum(len(side(path).units) for path in sources())
    found = list(results(read.pairs, units))
    chosen = list(sampled(SAMPLE, read.pairs))
    (CACHE / "missed.txt").write_text(_missed(read, found), encoding="utf-8")
    (CACHE / "sample.txt").write_text(side_by_side(chosen), encoding="utf-8")
    passed_over = len(read.unresolved)
    text = (
        f"{read.count:,} marks, of which {passed_over:,} name nothing that is compared (units of one\n"
        f"statement, classes without methods); the others make {len(read.pairs):,} pairs of functions.\n\n"
        f"{_recall(found, units)}\n\n"
        f"{len(chosen)} findings between files of different models, drawn by lot among those that nothing\n"
        f"explains and no mark accounts for, were read:\n\n{_precision(chosen)}"
    )
    write_section("copied", text)


if __name__ == "__main__":
    main()
