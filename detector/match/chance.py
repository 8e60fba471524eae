"""How strong a match must be before coincidence is ruled out: scores, bit scores and E-values.

What two units hold in common is the sum, over their common terms, of the bits by which a term is rarer
than what a function of that size holds anyway:

    held = sum over common terms t of max(0, bits(t) - FREE - log2 max(1, n / TYPICAL))

with n the smaller unit's number of dataflow nodes. FREE bits a term make the expected contribution of a
term negative, as the local alignment theory demands (Karlin and Altschul 1990); the last part is the
union bound over the nodes of a large function. Coincidence makes parts alike, a copy the whole: large
unrelated functions hold rare idioms in common, but these are a small part of either. So the score weighs
what is held by the larger of the parts that it makes up of the two units:

    S = held * max(held / own score of a, held / own score of b) ** WEIGHT

Terms of one function overlap and go together, so S is not yet a number of bits. The highest S of unrelated
units follow an extreme-value law whose decay is fitted on unrelated packages and absorbs that dependence
(Altschul et al. 1990; Pearson 1998). Two things bring them about: words that meet by chance, which is
common and soon ends, and idioms that people know, which are rare and go on. So the law is a mixture of two:

    E = pairs * (chance.k * exp(-chance.rate * S) + idiom.k * exp(-idiom.rate * S)) = pairs * 2^-bits

Below `FITTED` nothing was fitted; there bits rise with a root of S, slowly enough that pairs next to matches,
where fewer bits suffice, keep what is promised. And no match carries more bits than two thirds
of what it holds, or than `NODE` for each node: a complete copy of next to nothing is next to nothing.
docs/statistics.md has fit and calibration.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from math import exp, log, log1p, log2
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detector.background.grouping import distinct
from detector.candidate.bag import Bags
from detector.candidate.candidate import Candidates

FREE = 4.0
"""bits of a term that carry no score"""
TYPICAL = 30.0
"""dataflow nodes of a function, up to which size costs nothing"""
WEIGHT = 2
"""the power to which the part is raised that two units have in common"""
FITTED = 15.0
"""least score at which the law was fitted"""
OVERLAP = 1.5
"""a node's terms at several depths overlap at least that often"""
NODE = 8.0
"""bits that a match carries for each dataflow node of the smaller unit, at most"""
_RISE = 0.25
"""the power of a score with which its bits rise below `FITTED`"""
_STEPS = 8
"""of Newton's method; four give all digits where the two parts meet"""
_PAIRS = 4096
"""most pairs that are scored together"""
_CELLS = 2**24
"""most cells (bytes) of the table by which they are scored"""


Scores = TypeVar("Scores", float, NDArray[np.float64])


@dataclass(frozen=True, slots=True)
class Tail:
    """How many pairs of unrelated units score so high for one reason: a share k * exp(-rate * score)."""

    k: float
    rate: float

    def nats(self, score: Scores) -> Scores:
        """The logarithm of the share of pairs that score so high, for one score or many."""
        return log(self.k) - self.rate * score


@dataclass(frozen=True, slots=True)
class Law:
    """The fitted extreme-value law: what chance brings about, and what idioms do.

    `complete` is the share of pairs of unrelated functions, of 4 statements or more and of the same name,
    that have the very same terms (detector/match/completion.py).
    """

    chance: Tail
    idiom: Tail
    complete: float = 1e-4

    def bits(self, score: float) -> float:
        """The bit score: E = pairs * 2^-bits, whatever the background."""
        if score < FITTED:
            return self.bits(FITTED) * float((max(0.0, score) / FITTED) ** _RISE)
        # plain arithmetic, as this is asked for one score at a time and often
        chance, idiom = self.chance.nats(score), self.idiom.nats(score)
        return max(0.0, -max(chance, idiom) - log1p(exp(-abs(chance - idiom)))) / log(2)

    def score(self, bits: ArrayLike) -> NDArray[np.float64]:
        """The scores that carry so many bits.

        By Newton's method: bits are a concave function of the score, so it rises to the root from below,
        where either part of the law alone would carry as many.
        """
        carried, least = np.maximum(0.0, bits), self.bits(FITTED)
        nats = -log(2) * np.maximum(carried, least)
        found = np.maximum(*((log(part.k) - nats) / part.rate for part in (self.chance, self.idiom)))
        for _ in range(_STEPS):
            chance, idiom = self.chance.nats(found), self.idiom.nats(found)
            both = np.logaddexp(chance, idiom)
            slope = self.idiom.rate + (self.chance.rate - self.idiom.rate) * np.exp(chance - both)
            found = found + (both - nats) / slope
        return np.where(carried < least, FITTED * (carried / max(least, 1e-9)) ** (1 / _RISE), found)

    def expected(self, score: float, pairs: float) -> float:
        """E-value: how many of `pairs` unrelated pairs score this high by coincidence."""
        return float(pairs) * float(2.0 ** -min(self.bits(score), 1000.0))

    def least(self, e_value: float, pairs: float) -> float:
        """The score from which no more than `e_value` of `pairs` unrelated pairs are expected."""
        return float(self.score(log2(pairs / e_value))) if pairs > e_value else 0.0


@lru_cache(maxsize=1)
def law() -> Law:
    """The law that ships with the background."""
    fitted = json.loads(files("detector.background").joinpath("law.json").read_text("utf-8"))
    return Law(Tail(**fitted["chance"]), Tail(**fitted["idiom"]), fitted["complete"])


@dataclass(frozen=True, slots=True)
class _Telling:
    """The terms of one side that may add to a score: unit i holds numbers `terms[starts[i]:starts[i+1]]`."""

    terms: NDArray[np.int64]
    bits: NDArray[np.float32]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, side: Bags, terms: NDArray[np.uint64]) -> _Telling:
        """The part of a side's bags that is among `terms` (sorted), by their places there."""
        if not len(terms):
            return cls(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros_like(side.starts))
        places = np.minimum(np.searchsorted(terms, side.terms), len(terms) - 1)
        kept = terms[places] == side.terms
        before = np.concatenate(([0], np.cumsum(kept)))
        return cls(places[kept], side.bits[kept], before[side.starts])

    def within(self, units: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the terms of some units stand, unit by unit, and how many each has."""
        counts = self.starts[units + 1] - self.starts[units]
        before = np.cumsum(counts) - counts
        return np.arange(counts.sum()) + np.repeat(self.starts[units] - before, counts), counts


@dataclass(frozen=True, slots=True)
class Common:
    """Two sides, made ready to ask what pairs of their units hold in common and how they score."""

    a: Bags
    b: Bags
    own_a: NDArray[np.float64]
    own_b: NDArray[np.float64]
    """scores of units with themselves"""
    terms: NDArray[np.uint64]
    """what both sides hold and may add to a score, sorted"""
    left: _Telling
    right: _Telling

    @classmethod
    def of(cls, a: Bags, b: Bags) -> Common:
        """Cut both sides down to terms of both that carry more bits than are free."""
        left, right = distinct(a.terms[a.bits > FREE]), distinct(b.terms[b.bits > FREE])
        terms = np.intersect1d(left, right, assume_unique=True)
        return cls(a, b, own_scores(a), own_scores(b), terms, _Telling.of(a, terms), _Telling.of(b, terms))

    def held(self, pairs: Candidates) -> NDArray[np.float64]:
        """What the units of each candidate pair hold in common."""
        found = np.zeros(len(pairs))
        for chosen, rows, _, gains in self._shared(pairs):
            found[chosen] = np.bincount(rows, gains, len(chosen))
        return found

    def shared(self, pairs: Candidates) -> list[tuple[NDArray[np.uint64], NDArray[np.float64]]]:
        """The terms (sorted) that the units of each pair have in common, and what each adds to the score."""
        nothing: tuple[NDArray[np.uint64], NDArray[np.float64]] = (self.terms[:0], np.zeros(0))
        found = [nothing] * len(pairs)
        for chosen, rows, places, gains in self._shared(pairs):
            bounds = np.searchsorted(rows, np.arange(1, len(chosen)))
            parts = zip(np.split(self.terms[places], bounds), np.split(gains, bounds), strict=True)
            for at, part in zip(chosen.tolist(), parts, strict=True):
                found[at] = part
        return found

    def limited(self, pairs: Candidates, by: Law) -> NDArray[np.float64]:
        """The score of each candidate pair, no higher than what the two hold in common can carry."""
        held = self.held(pairs)
        nodes = np.minimum(self.a.sizes[pairs.a], self.b.sizes[pairs.b])
        return np.minimum(self._weighed(pairs, held), by.score(np.minimum(held / OVERLAP, NODE * nodes)))

    def scores(self, pairs: Candidates) -> NDArray[np.float64]:
        """The score of each candidate pair."""
        return self._weighed(pairs, self.held(pairs))

    def _shared(self, pairs: Candidates) -> Iterator[tuple[NDArray[Any], ...]]:
        """What pairs have in common, some pairs at a time: which pairs, and for each shared term its pair's
        place among these, its place in `terms` and what it adds to the score, in the order of both.

        What the units of A hold is marked in a table, where what those of B hold is looked up.
        """
        order = np.argsort(pairs.a, kind="stable")
        width = len(self.terms)
        step = max(1, min(_PAIRS, _CELLS // max(1, width)))
        for at in range(0, len(order), step):
            chosen = order[at : at + step]
            units_a, units_b = pairs.a[chosen], pairs.b[chosen]
            units, row = np.unique(units_a, return_inverse=True)
            marked = np.zeros(len(units) * width, bool)
            places, counts = self.left.within(units)
            marked[np.repeat(np.arange(len(units)) * width, counts) + self.left.terms[places]] = True
            places, counts = self.right.within(units_b)
            both = np.flatnonzero(marked[np.repeat(row * width, counts) + self.right.terms[places]])
            rows, places = np.searchsorted(np.cumsum(counts), both, "right"), places[both]
            free = _free(np.minimum(self.a.sizes[units_a], self.b.sizes[units_b]))
            gains = self.right.bits[places] - free[rows]
            kept = gains > 0
            yield chosen, rows[kept], self.right.terms[places[kept]], gains[kept]

    def _weighed(self, pairs: Candidates, held: NDArray[np.float64]) -> NDArray[np.float64]:
        """What is held, weighed by the larger of the parts that it makes up."""
        part = held / np.maximum(np.minimum(self.own_a[pairs.a], self.own_b[pairs.b]), 1e-9)
        return np.asarray(held * np.minimum(part, 1.0) ** WEIGHT)


def scores(a: Bags, b: Bags, pairs: Candidates) -> NDArray[np.float64]:
    """The score of each candidate pair of two sides."""
    return Common.of(a, b).scores(pairs)


def own_scores(side: Bags) -> NDArray[np.float64]:
    """The score of each unit with itself: what a complete copy would reach."""
    gains = np.maximum(0.0, side.bits - np.repeat(_free(side.sizes), np.diff(side.starts)))
    return np.bincount(side.owners, gains, len(side)).astype(np.float64)


def _free(sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Bits of a term that carry no score, where the smaller unit has so many nodes."""
    return np.asarray(FREE + np.log2(np.maximum(1.0, sizes / TYPICAL)))
