"""Class pairs weighed as one: several matches that are too weak alone, in the same two classes.

A copier takes over classes. In a comparison of large repositories a short method is lost among millions of
pairs, but that several methods of one class find their likes in one other class is no coincidence. The
statistics are those of several local alignments between two sequences (Karlin and Altschul 1993): with

    x = bits * ln 2 - ln(pairs of members)

the normalized score of a pair of members, the sum T of the r highest of them, one to one, is reached by
coincidence in a share

    P(r, T) = exp(-T) * T^(r-1) / (r! * (r-1)!)

of pairs of classes, and, since r is chosen to suit, E = pairs of classes * min over r of 2^r * P(r, T), where
2^r shares the tests out as BLAST does (Altschul et al. 1997, gap decay 1/2). The bits are those of the law
for single pairs; nothing more is fitted. docs/statistics.md has the calibration.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, lgamma, log

import numpy as np
from numpy.typing import NDArray

from detector.candidate.candidate import Candidates
from detector.match.assignment import one_to_one
from detector.match.chance import Law
from detector.match.side import Side
from detector.match.significance import Scored, Significance

FEWEST = 3
"""pairs of members that make a sum"""


@dataclass(frozen=True, slots=True)
class Pool:
    """What the members of two classes have in common: its E-value, and the candidates that make it up."""

    e_value: float
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Classes:
    """The class of each unit of a side (-1: none), and the number of functions in each class."""

    of: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @classmethod
    def on(cls, side: Side) -> _Classes:
        found = np.full(len(side.units), -1, np.int64)
        for row in range(len(side.units)):
            holder = side.class_of(row) if side.is_function(row) else None
            if holder is not None:
                found[row] = holder
        return cls(found, np.bincount(found[found >= 0], minlength=len(side.units)))

    def __len__(self) -> int:
        return int((self.sizes > 0).sum())


def pools(a: Side, b: Side, every: Scored, test: Significance) -> list[Pool]:
    """Pairs of classes that are beyond coincidence by the sum of what their members score.

    Members that public code explains are left out of the sum.
    """
    left, right = _Classes.on(a), _Classes.on(b)
    possible = float(len(left)) * len(right)
    least = log(max(possible, 1.0) / test.threshold)
    summed = [
        (rows, x)
        for rows, x in _groups(left, right, every, test.law, least)
        if possible * _rarest(x)[0] <= test.threshold
    ]
    tried = [row for rows, _ in summed for row in rows]
    known = test.public(Candidates(every.pairs.a[tried], every.pairs.b[tried]))
    public = {row for row, explained in zip(tried, known.tolist(), strict=True) if explained}
    found = []
    for rows, x in summed:
        kept = [at for at, row in enumerate(rows) if row not in public]
        share, count = _rarest([x[at] for at in kept])
        if count >= FEWEST and possible * share <= test.threshold:
            found.append(Pool(possible * share, tuple(rows[at] for at in kept[:count])))
    return found


def _groups(
    a: _Classes, b: _Classes, every: Scored, law: Law, least: float
) -> Iterator[tuple[list[int], list[float]]]:
    """For pairs of classes: rows of candidates, one to one, and their normalized scores, in falling order.

    Scores below 0, and pairs of classes whose members sum up to less than `least`, are left out.
    """
    pairs, scores = every.pairs, every.scores
    class_a, class_b = a.of[pairs.a], b.of[pairs.b]
    tried = np.maximum(1, a.sizes[class_a] * b.sizes[class_b])
    rows = np.flatnonzero((class_a >= 0) & (class_b >= 0) & (scores > law.score(np.log2(tried))))
    x = np.array([law.bits(score) for score in scores[rows].tolist()]) * log(2) - np.log(tried[rows])
    keys, group = np.unique(class_a[rows] * len(b.of) + class_b[rows], return_inverse=True)
    group = group.reshape(-1)
    enough = (np.bincount(group, x, len(keys)) >= least) & (np.bincount(group, minlength=len(keys)) >= FEWEST)
    order = np.lexsort((rows, -x, group))
    order = order[enough[group[order]]]
    for part in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        chosen = rows[part]
        kept = one_to_one(zip(pairs.a[chosen].tolist(), pairs.b[chosen].tolist(), strict=True))
        yield chosen[kept].tolist(), x[part][kept].tolist()


def _rarest(x: list[float]) -> tuple[float, int]:
    """The least share 2^r * P(r, T) of pairs of classes, and the r that it takes; `x` is in falling order."""
    best, count, total = 0.0, 0, 0.0
    for r, each in enumerate(x, 1):
        total += each
        share = r * log(2) - total + (r - 1) * log(total) - lgamma(r + 1) - lgamma(r)
        if share < best:
            best, count = share, r
    return exp(best), count
