"""Candidates: the few pairs of units, out of all, that are worth scoring in full.

Up to `EXACT` pairs of units the rare terms are joined exactly, which loses nothing that could be reported
and takes milliseconds. Beyond, MinHash and LSH (detector/candidate/sketch.py) stand in for the common part
of the join, and only the rarest terms are still joined. docs/candidates.md has the curve.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.background.grouping import firsts, summed
from detector.candidate.bag import Bags

EXACT = 40_000_000
"""pairs of units up to which the join is exact"""
SEED_BITS = 7.0
"""terms at least this rare are joined"""
POSTINGS = 4000
"""a term that would join more pairs than this is skipped: it tells none of them apart"""
SEED_SCORE = 12.0
"""bits in common rare terms that make a candidate"""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pairs of units, as rows of the two sides' bags."""

    a: NDArray[np.int64]
    b: NDArray[np.int64]

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, int]]) -> Candidates:
        """These pairs, in their order."""
        rows = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
        return cls(rows[:, 0], rows[:, 1])

    def __len__(self) -> int:
        return len(self.a)


def candidates(a: Bags, b: Bags) -> Candidates:
    """Pairs that share enough rare terms, or, on large repositories, whose sketches collide."""
    if len(a) * len(b) <= EXACT:
        return joined(a, b)
    from detector.candidate.sketch import sketched  # noqa: PLC0415 - datasketch takes most of a second to import

    rare, alike = joined(a, b, postings=POSTINGS // 40), sketched(a, b)
    keys = np.union1d(rare.a * len(b) + rare.b, alike.a * len(b) + alike.b)
    return Candidates(keys // len(b), keys % len(b))


def joined(a: Bags, b: Bags, postings: int = POSTINGS, score: float = SEED_SCORE) -> Candidates:
    """The exact join over rare terms: every pair with `score` bits of them in common."""
    left, right = _postings(a), _postings(b)
    at_left, at_right = _both(left.terms, right.terms)
    pairs = left.counts[at_left] * right.counts[at_right]
    kept = pairs <= postings
    at_left, at_right, pairs = at_left[kept], at_right[kept], pairs[kept]
    if not len(pairs):
        return Candidates(np.zeros(0, np.int64), np.zeros(0, np.int64))
    term = np.repeat(np.arange(len(pairs)), pairs)
    offset = np.arange(len(term)) - np.repeat(np.cumsum(pairs) - pairs, pairs)
    width = right.counts[at_right][term]
    unit_a = left.units[left.starts[at_left][term] + offset // width]
    unit_b = right.units[right.starts[at_right][term] + offset % width]
    keys, scores = summed(unit_a * len(b) + unit_b, left.bits[at_left][term])
    keys = keys[scores >= score]
    return Candidates(keys // len(b), keys % len(b))


@dataclass(frozen=True, slots=True)
class _Postings:
    """For each distinct rare term the units that hold it."""

    terms: NDArray[np.uint64]
    bits: NDArray[np.float32]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]
    units: NDArray[np.int64]


def _postings(side: Bags) -> _Postings:
    rare = side.bits >= SEED_BITS
    terms, bits, units = side.terms[rare], side.bits[rare], side.owners[rare]
    order = np.argsort(terms, kind="stable")
    ordered = terms[order]
    starts = firsts(ordered)
    counts = np.diff(starts, append=len(ordered))
    return _Postings(ordered[starts], bits[order][starts], starts, counts, units[order])


def _both(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> tuple[NDArray[np.int64], ...]:
    """Where either of two sorted arrays of distinct terms holds a term of the other."""
    if not len(right):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    at = np.minimum(np.searchsorted(right, left), len(right) - 1)
    found = right[at] == left
    return np.flatnonzero(found), at[found]
