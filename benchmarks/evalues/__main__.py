"""Fit the extreme-value law, or check it: see the package's docstring."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from math import log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.page import write_section
from benchmarks.evalues.classes import ClassPair, class_pairs
from benchmarks.evalues.equality import complete_pairs
from benchmarks.evalues.figure import figure
from benchmarks.evalues.mixture import mixture
from benchmarks.evalues.neighbours import neighbours
from benchmarks.evalues.pairs import Chance, Package, comparisons, couples, packages
from detector.background import Background
from detector.match.chance import Law, Tail, law

LAW = Path("detector/background/law.json")
PAGE = Path("docs/statistics.md")
FIGURE = Path("docs/images/calibration.svg")
SHARED = Path("benchmarks/evalues/shared_origin.tsv")
COMPARISONS = 220
BITS = range(4, 21, 2)
LIMITS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


def unexplained(found: Sequence[Chance]) -> Iterator[tuple[Chance, float, tuple[str, str]]]:
    """The pairs that public code does not explain: their comparison, score and names."""
    for chance in found:
        for score, known, names in zip(chance.scores.tolist(), chance.explained, chance.names, strict=True):
            if not known:
                yield chance, score, names


def fitted(found: Sequence[Chance]) -> Law:
    """The law of what neither public code nor a shared origin explains, in three digits."""
    pairs = float(sum(chance.pairs for chance in found))
    apart = shared_origin()
    scores = [score for _, score, names in unexplained(found) if names not in apart]
    new = mixture(np.array(scores), pairs)
    chance, idiom = (Tail(_rounded(part.k), _rounded(part.rate)) for part in (new.chance, new.idiom))
    return Law(chance, idiom)


def _rounded(number: float) -> float:
    return float(f"{number:.3g}")


def e_values(found: Sequence[Chance], fit: Law, apart: frozenset[tuple[str, str]]) -> NDArray[np.float64]:
    """E-value of each pair that neither public code explains nor a reader has set apart."""
    return np.array(
        [
            fit.expected(score, chance.pairs)
            for chance, score, names in unexplained(found)
            if names not in apart
        ]
    )


def shared_origin() -> frozenset[tuple[str, str]]:
    """Pairs of held-out units that a reader found to have one origin, with the reason beside them."""
    lines = SHARED.read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    return frozenset((row[0], row[1]) for row in rows) | frozenset((row[1], row[0]) for row in rows)


def fit_law(background: Background) -> None:
    """Fit on the packages labelled `fit` and write the law."""
    chosen = packages("fit", background)
    found = list(comparisons(chosen, COMPARISONS, background))
    named, complete = complete_pairs(couples(chosen, COMPARISONS))
    new = replace(fitted(found), complete=float(f"{complete / named:.2g}"))
    about = (
        f"{COMPARISONS} comparisons of packages labelled fit, {sum(c.pairs for c in found):,} pairs of units;"
        f" {complete} of {named:,} pairs of functions of one name are complete"
    )
    LAW.write_text(json.dumps(asdict(new) | {"about": about}) + "\n", "utf-8")
    print(new)


def calibrate(background: Background) -> None:
    """Count findings on the packages labelled `calibration` and write tables and figure."""
    chosen = packages("calibration", background)
    found = list(comparisons(chosen, COMPARISONS, background))
    values = e_values(found, law(), shared_origin())
    said = f"{len(found)} comparisons, {sum(c.pairs for c in found):,} pairs of units."
    alone = _table(e_values(found, law(), frozenset()), values, len(found))
    write_section("calibration", f"{said}\n\n{alone}", PAGE)
    FIGURE.write_text(
        figure(LIMITS, [int((values <= limit).sum()) / len(found) for limit in LIMITS]), "utf-8"
    )
    write_section("calibration of classes", _of_classes(chosen, background), PAGE)
    write_section("calibration next to matches", _next_to_matches(chosen, background), PAGE)
    named, complete = complete_pairs(couples(chosen, COMPARISONS))
    equal = (
        f"Of {named:,} pairs of functions of one name (4 statements or more) {complete} are complete;"
        f" the law promises {law().complete * named:.1f}."
    )
    write_section("calibration of complete pairs", equal, PAGE)
    print(*strongest(found), sep="\n")


def _of_classes(chosen: Sequence[Package], background: Background) -> str:
    """The table of class pairs; one origin of two members is one origin of their classes."""
    apart = _shared_classes()
    compared = couples(chosen, COMPARISONS)
    found: list[ClassPair] = [
        pair for a, b in compared for pair in class_pairs(a, b, background, max(LIMITS))
    ]
    every = np.array([pair.e_value for pair in found])
    values = np.array([pair.e_value for pair in found if pair.names not in apart])
    for pair in sorted(found, key=lambda pair: pair.e_value)[:20]:
        print(f"{pair.e_value:.1e}  {'  '.join(pair.names)}", "(set apart)" * (pair.names in apart))
    return _table(every, values, len(compared))


def _shared_classes() -> frozenset[tuple[str, str]]:
    """The classes that pairs of one origin stand in."""
    return frozenset((left.rpartition(".")[0], right.rpartition(".")[0]) for left, right in shared_origin())


def _next_to_matches(chosen: Sequence[Package], background: Background) -> str:
    """The table of pairs next to pairs of one name: how many carry so many bits, how many are promised."""
    apart = _shared_classes()
    found = [neighbours(a, b, background, apart) for a, b in couples(chosen, COMPARISONS)]
    bits = np.concatenate([some for some, _ in found])
    pairs = sum(count for _, count in found)
    rows = "\n".join(
        f"| {least} | {pairs * 2.0**-least:,.1f} | {int((bits >= least).sum()):,} |" for least in BITS
    )
    return f"{pairs:,} pairs.\n\n| bits at least | promised at most | found |\n|---:|---:|---:|\n{rows}"


def _table(every: NDArray[np.float64], values: NDArray[np.float64], comparisons: int) -> str:
    """Findings with E at most x, all and those without shared origin, beside what x promises."""
    counts = [int((values <= limit).sum()) for limit in LIMITS]
    rows = "\n".join(
        f"| {limit:g} | {limit * comparisons:,.2f} | {int((every <= limit).sum()):,} | {count:,}"
        f" | {count / (limit * comparisons):.2f} |"
        for limit, count in zip(LIMITS, counts, strict=True)
    )
    head = "| E at most | promised | found | without shared origin | ratio |\n|---:|---:|---:|---:|---:|\n"
    return head + rows


def strongest(found: Sequence[Chance], most: int = 40) -> list[str]:
    """The unexplained pairs with the lowest E-values, to be read by a person."""
    rows = [
        (law().expected(score, chance.pairs), chance.a, chance.b, *names)
        for chance, score, names in unexplained(found)
        if score > 2 * log(10)
    ]
    return [f"{row[0]:.1e}  {'  '.join(row[1:])}" for row in sorted(rows)[:most]]


if __name__ == "__main__":
    commands = {"fit": fit_law, "calibrate": calibrate}
    if sys.argv[1:2] and sys.argv[1] in commands:
        commands[sys.argv[1]](Background.open())
    else:
        sys.exit("name what to do: fit or calibrate")
