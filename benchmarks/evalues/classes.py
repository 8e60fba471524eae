"""Class pairs of unrelated packages: how often the sum of what their members score is high by coincidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.evalues.pairs import Package, place
from detector.background import Background
from detector.candidate.candidate import candidates
from detector.evidence.explanation import Explanations
from detector.match.chance import Common, law
from detector.match.pooling import pools
from detector.match.significance import Significance


@dataclass(frozen=True, slots=True)
class ClassPair:
    """Two classes, the E-value of what their members have in common, and where they stand."""

    e_value: float
    names: tuple[str, str]


def class_pairs(a: Package, b: Package, background: Background, most: float) -> Iterator[ClassPair]:
    """Pairs of classes with E <= `most`, lowest first and each class once, as a comparison finds them."""
    explanations = Explanations.of(Common.of(a.bags, b.bags), (), background)
    test = Significance(explanations.common, law(), most, explanations.public)
    left, right = a.side(), b.side()
    every = test.scored(candidates(a.bags, b.bags))
    taken: set[tuple[str, int | None]] = set()
    for pool in sorted(pools(left, right, every, test), key=lambda pool: pool.e_value):
        row = pool.rows[0]
        class_a, class_b = left.class_of(int(every.pairs.a[row])), right.class_of(int(every.pairs.b[row]))
        if class_a is None or class_b is None or taken & {("a", class_a), ("b", class_b)}:
            continue
        taken |= {("a", class_a), ("b", class_b)}
        yield ClassPair(pool.e_value, (place(a.units[class_a]), place(b.units[class_b])))
