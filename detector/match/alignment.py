"""Statement to statement: which lines of two matched units correspond, and which nodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

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
    """Corresponding nodes of two units: rows `a` and `b`, the level of the term they share, its rarity."""

    a: Sequence[int]
    b: Sequence[int]
    level: Sequence[int]
    bits: Sequence[float]


class Place(NamedTuple):
    """Where a statement stands: its first and last line, from 1, its first byte in the one, its end in the
    other. One with a body ends at its colon.
    """

    first: int
    last: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Lines:
    """Two statements that correspond."""

    a: Place
    b: Place
    weight: float


def pair_nodes(a: Fingerprint, b: Fingerprint, bits: Bits) -> Pairing:
    """Pair the nodes of two units by their most telling common term, each once, in the order of the text.

    `bits` gives the rarity of terms of `a`.
    """
    left: list[int] = []
    right: list[int] = []
    levels: list[int] = []
    terms_a, terms_b = a.terms.T.tolist(), b.terms.T.tolist()
    free_a, free_b = list(range(len(a.terms))), list(range(len(b.terms)))
    for level in _LEVELS:
        rows_a, rows_b = _alike(terms_a[level], terms_b[level], free_a, free_b)
        left += rows_a
        right += rows_b
        levels += [level] * len(rows_a)
        free_a, free_b = _without(free_a, rows_a), _without(free_b, rows_b)
    return Pairing(left, right, levels, bits(a.terms[left, levels].view(np.uint64)).tolist())


def _alike(
    terms_a: list[int], terms_b: list[int], free_a: list[int], free_b: list[int]
) -> tuple[list[int], list[int]]:
    """Of some rows of either side those that hold the same term, first with first."""
    waiting: dict[int, list[int]] = {}
    for row in reversed(free_b):
        waiting.setdefault(terms_b[row], []).append(row)
    rows_a = []
    rows_b = []
    for row in free_a:
        rows = waiting.get(terms_a[row])
        if rows:
            rows_a.append(row)
            rows_b.append(rows.pop())
    return rows_a, rows_b


def _without(rows: list[int], gone: list[int]) -> list[int]:
    left_out = set(gone)
    return [row for row in rows if row not in left_out]


def align(a: Fingerprint, b: Fingerprint, pairing: Pairing) -> list[Lines]:
    """Statements that correspond: heaviest pairs first, a statement may be split or merged."""
    places_a, places_b = a.places[pairing.a].tolist(), b.places[pairing.b].tolist()
    weights: dict[tuple[int, int], float] = defaultdict(float)
    for at_a, at_b, level, bits in zip(places_a, places_b, pairing.level, pairing.bits, strict=True):
        weights[at_a, at_b] += bits / DEPTHS[level]
    taken_a: set[int] = set()
    taken_b: set[int] = set()
    lines = []
    for (at_a, at_b), weight in sorted(weights.items(), key=lambda row: (-row[1], row[0])):
        known = (at_a in taken_a) + (at_b in taken_b)
        if known == 2 or (known == 1 and weight < _LEAST) or weight < FREE / 4:
            continue
        taken_a.add(at_a)
        taken_b.add(at_b)
        lines.append(Lines(Place(*a.statements[at_a].tolist()), Place(*b.statements[at_b].tolist()), weight))
    return sorted(lines, key=lambda line: (line.a, line.b))
