"""Fit the extreme-value law, or check it: see the package's docstring."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from math import exp, log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.evalues.figure import figure
from benchmarks.evalues.pairs import Chance, comparisons, packages
from detector.background import Background
from detector.match.chance import FITTED, Law, law

LAW = Path("detector/background/law.json")
PAGE = Path("docs/statistics.md")
FIGURE = Path("docs/images/calibration.svg")
SHARED = Path("benchmarks/evalues/shared_origin.tsv")
COMPARISONS = 220
LIMITS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_BINS = np.array([FITTED, 10, 12.5, 15, 17.5, 20, 25, 30, 35, 40, 50, 60, 80, 100])
"""scores between which exceedances are counted; above, shared origin outweighs chance"""


def fitted(found: Sequence[Chance]) -> Law:
    """Least squares on the logarithms of the tail counts of unexplained scores, each weighed by its size."""
    pairs = float(sum(chance.pairs for chance in found))
    scores = np.concatenate([chance.scores[~chance.explained] for chance in found])
    tail = np.array([(scores >= least).sum() for least in _BINS], dtype=float)
    kept = tail > 0
    slope, level = np.polyfit(_BINS[kept], np.log(tail[kept] / pairs), 1, w=np.sqrt(tail[kept]))
    return Law(k=float(f"{exp(level):.3g}"), rate=float(f"{-slope:.3g}"))


def e_values(found: Sequence[Chance], fit: Law, apart: frozenset[tuple[str, str]]) -> NDArray[np.float64]:
    """E-value of each pair that neither public code explains nor a reader has set apart."""
    return np.array(
        [
            fit.expected(float(score), chance.pairs)
            for chance in found
            for score, known, names in zip(chance.scores, chance.explained, chance.names, strict=True)
            if not known and names not in apart
        ]
    )


def shared_origin() -> frozenset[tuple[str, str]]:
    """Pairs of held-out units that a reader found to have one origin, with the reason beside them."""
    lines = SHARED.read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    return frozenset((row[0], row[1]) for row in rows) | frozenset((row[1], row[0]) for row in rows)


def fit_law(background: Background) -> None:
    """Fit on the packages labelled `fit` and write the law."""
    found = list(comparisons(packages("fit", background), COMPARISONS, background))
    new = fitted(found)
    about = (
        f"{COMPARISONS} comparisons of packages labelled fit, {sum(c.pairs for c in found):,} pairs of units"
    )
    LAW.write_text(json.dumps({"k": new.k, "rate": new.rate, "about": about}) + "\n", "utf-8")
    print(new)


def calibrate(background: Background) -> None:
    """Count findings on the packages labelled `calibration` and write table and figure."""
    found = list(comparisons(packages("calibration", background), COMPARISONS, background))
    every = e_values(found, law(), frozenset())
    values = e_values(found, law(), shared_origin())
    counts = [int((values <= limit).sum()) for limit in LIMITS]
    rows = "\n".join(
        f"| {limit:g} | {limit * len(found):,.2f} | {int((every <= limit).sum()):,} | {count:,}"
        f" | {count / (limit * len(found)):.2f} |"
        for limit, count in zip(LIMITS, counts, strict=True)
    )
    head = "| E at most | promised | found | without shared origin | ratio |\n|---:|---:|---:|---:|---:|\n"
    said = f"{len(found)} comparisons, {sum(c.pairs for c in found):,} pairs of units.\n\n"
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition("<!-- calibration -->")
    after = rest.partition("<!-- /calibration -->")[2]
    PAGE.write_text(
        f"{before}<!-- calibration -->\n{said}{head}{rows}\n<!-- /calibration -->{after}", "utf-8"
    )
    FIGURE.write_text(figure(LIMITS, [count / len(found) for count in counts]), "utf-8")
    print(head + rows)
    for line in strongest(found):
        print(line)


def strongest(found: Sequence[Chance], most: int = 40) -> list[str]:
    """The unexplained pairs with the lowest E-values, to be read by a person."""
    rows = [
        (law().expected(float(score), chance.pairs), chance.a, chance.b, *names)
        for chance in found
        for score, known, names in zip(chance.scores, chance.explained, chance.names, strict=True)
        if not known and score > 2 * log(10)
    ]
    return [f"{row[0]:.1e}  {'  '.join(row[1:])}" for row in sorted(rows)[:most]]


if __name__ == "__main__":
    commands = {"fit": fit_law, "calibrate": calibrate}
    if sys.argv[1:2] and sys.argv[1] in commands:
        commands[sys.argv[1]](Background.open())
    else:
        sys.exit("name what to do: fit or calibrate")
