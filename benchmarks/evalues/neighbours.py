"""Pairs that stand next to pairs of one name, in unrelated packages: does the law hold there as well?

Next to a match a comparison looks only at the few pairs of neighbours. These have the same part in both
programs more often than pairs drawn by lot. Unrelated packages have no matches; functions of the same name
stand in for them.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.evalues.pairs import Package, place
from detector.background import Background
from detector.candidate.candidate import Candidates
from detector.evidence.explanation import Explanations
from detector.match.assignment import Pair
from detector.match.chance import Common, law
from detector.match.completion import telling
from detector.match.correspondence import next_to
from detector.match.side import Side

_SEEDS = 400
"""pairs of one name whose neighbours are looked at in one comparison, drawn by lot"""


def neighbours(
    a: Package, b: Package, background: Background, apart: frozenset[tuple[str, str]]
) -> tuple[NDArray[np.float64], int]:
    """Bits of the pairs next to pairs of one name that have any, and how many pairs there are in all.

    Left out are what public code explains and members of the pairs of classes that are set `apart`.
    """
    left, right = a.side(), b.side()
    near = sorted({pair for seed in _seeds(left, right) for pair in next_to(seed, left, right)})
    explanations = Explanations.of(Common.of(a.bags, b.bags), (), background)
    scores = explanations.common.limited(Candidates.of(near), law())
    rows = [row for row in np.flatnonzero(scores).tolist() if _classes(left, right, near[row]) not in apart]
    public = explanations.public(Candidates.of(near[row] for row in rows))
    return np.array([law().bits(score) for score in scores[rows][~public].tolist()]), len(near)


def _seeds(a: Side, b: Side) -> Iterator[Pair]:
    named: dict[str, list[int]] = defaultdict(list)
    for row in telling(b):
        named[b.last_name(row)].append(row)
    pairs = [(row, other) for row in telling(a) for other in named[a.last_name(row)]]
    yield from random.Random(1990).sample(pairs, min(_SEEDS, len(pairs)))


def _classes(a: Side, b: Side, pair: Pair) -> tuple[str, str]:
    """Path and name of what the two units of a pair stand in."""
    return place(a.units[pair[0]]).rpartition(".")[0], place(b.units[pair[1]]).rpartition(".")[0]
