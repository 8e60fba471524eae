"""Statement to statement: which lines of two matched units correspond, and which nodes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.candidate.bag import Bits
from detector.fingerprint.fingerprint import Fingerprint
from detector.fingerprint.term import DEPTHS
from detector.match.chance import FREE

_LEVELS = (2, 1, 4, 3, 0)
"""columns of a fingerprint, from the most telling to the least"""
_LEAST = 2.0
"""bits that a further line must share to be aligned with one that is aligned already"""


@dataclass(frozen=True, slots=True)
class Pairing:
    """Corresponding nodes of two units: rows `a` and `b`, the bits of the term they share, its column."""

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    bits: NDArray[np.float64]
    level: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Lines:
    """Two statements that correspond, as line spans."""

    a: tuple[int, int]
    b: tuple[int, int]
    weight: float


def pair_nodes(a: Fingerprint, b: Fingerprint, bits: Bits) -> Pairing:
    """Pair the nodes of two units by their most telling common term, each once, in the order of the text."""
    left: list[int] = []
    right: list[int] = []
    weights: list[float] = []
    levels: list[int] = []
    free_a, free_b = np.ones(len(a.terms), bool), np.ones(len(b.terms), bool)
    rarity = bits(a.terms.ravel().view(np.uint64)).reshape(a.terms.shape)
    for level in _LEVELS:
        waiting: dict[int, list[int]] = defaultdict(list)
        for row in np.flatnonzero(free_b)[::-1].tolist():
            waiting[b.terms[row, level]].append(row)
        for row in np.flatnonzero(free_a).tolist():
            rows = waiting.get(a.terms[row, level])
            if rows:
                partner = rows.pop()
                free_a[row] = free_b[partner] = False
                left.append(row)
                right.append(partner)
                weights.append(float(rarity[row, level]) / DEPTHS[level])
                levels.append(level)
    return Pairing(np.array(left, int), np.array(right, int), np.array(weights), np.array(levels, int))


def align(a: Fingerprint, b: Fingerprint, pairing: Pairing) -> list[Lines]:
    """Statements that correspond: heaviest pairs first, a statement may be split or merged."""
    weights: Counter[tuple[int, int]] = Counter()
    for row_a, row_b, weight in zip(pairing.a, pairing.b, pairing.bits, strict=True):
        weights[int(a.places[row_a]), int(b.places[row_b])] += weight
    taken_a: set[int] = set()
    taken_b: set[int] = set()
    lines = []
    for (at_a, at_b), weight in sorted(weights.items(), key=lambda row: (-row[1], row[0])):
        known = (at_a in taken_a) + (at_b in taken_b)
        if known == 2 or (known == 1 and weight < _LEAST) or weight < FREE / 4:
            continue
        taken_a.add(at_a)
        taken_b.add(at_b)
        lines.append(Lines(_span(a, at_a), _span(b, at_b), weight))
    return sorted(lines, key=lambda line: (line.a, line.b))


def _span(unit: Fingerprint, place: int) -> tuple[int, int]:
    first, last = unit.statements[place].tolist()
    return first, last


def names_at(unit: Fingerprint, rows: Sequence[int]) -> dict[int, list[str]]:
    """The renamable names directly under, or bound to, some nodes."""
    wanted = set(rows)
    found: dict[int, list[str]] = defaultdict(list)
    for name, row in zip(unit.names, unit.nodes.tolist(), strict=True):
        if row in wanted:
            found[row].append(name)
    return found
