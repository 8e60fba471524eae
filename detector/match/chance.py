"""How strong a match must be before coincidence is ruled out: scores, bit scores and E-values.

What two units hold in common is the sum, over their common terms, of the bits by which a term is rarer
than what a function of that size holds anyway:

    held = sum over common terms t of max(0, bits(t) - FREE - log2 max(1, n / TYPICAL))

with n the smaller unit's number of dataflow nodes. FREE bits a term make the expected contribution of a
term negative, as the local alignment theory demands (Karlin and Altschul 1990); the last part is the
union bound over the nodes of a large function. Coincidence makes parts alike, a copy the whole: large
unrelated functions hold rare idioms in common, but these are a small part of either. So the score weighs
what is held by the larger of the parts that it makes up of the two units:

    S = held * max(held / own score of a, held / own score of b)

Terms of one function overlap and go together, so S is not yet a number of bits: the highest S of unrelated
units follows an extreme-value law, whose decay `rate` is fitted on unrelated packages and absorbs that
dependence (Altschul et al. 1990; Pearson 1998):

    E = K * pairs * exp(-rate * S),    bits = (rate * S - ln K) / ln 2,    E = pairs * 2^-bits

Below `FITTED` the law was not fitted; there bits rise evenly from 0. And no match carries more bits than half
of what it holds: a complete copy of next to nothing is next to nothing. docs/statistics.md has fit and
calibration.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from math import log

import numpy as np
from numpy.typing import NDArray

from detector.candidate.bag import Bags
from detector.candidate.candidate import Candidates

FREE = 4.0
"""bits of a term that carry no score"""
TYPICAL = 30.0
"""dataflow nodes of a function, up to which size costs nothing"""
FITTED = 8.0
"""least score at which the law was fitted"""
OVERLAP = 2.0
"""a node's terms at several depths overlap at least that often"""


@dataclass(frozen=True, slots=True)
class Law:
    """The fitted extreme-value law: E = k * pairs * exp(-rate * score)."""

    k: float
    rate: float

    def bits(self, score: float) -> float:
        """The bit score: E = pairs * 2^-bits, whatever the background."""
        least = max(0.0, self.rate * FITTED - log(self.k)) / log(2)
        if score < FITTED:
            return least * max(0.0, float(score)) / FITTED
        return least + float(self.rate * (score - FITTED)) / log(2)

    def score(self, bits: float) -> float:
        """The score that carries so many bits."""
        least = self.bits(FITTED)
        if bits < least:
            return FITTED * max(0.0, bits) / least
        return FITTED + (bits - least) * log(2) / self.rate

    def expected(self, score: float, pairs: float) -> float:
        """E-value: how many of `pairs` unrelated pairs score this high by coincidence."""
        return float(pairs) * float(2.0 ** -min(self.bits(score), 1000.0))


@lru_cache(maxsize=1)
def law() -> Law:
    """The law that ships with the background."""
    fitted = json.loads(files("detector.background").joinpath("law.json").read_text("utf-8"))
    return Law(fitted["k"], fitted["rate"])


def shared(a: Bags, b: Bags, unit_a: int, unit_b: int) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
    """The terms that two units have in common, and what each adds to the score."""
    terms_a, bits = a.of(unit_a)
    terms_b, _ = b.of(unit_b)
    common, at, _ = np.intersect1d(terms_a, terms_b, assume_unique=True, return_indices=True)
    size = min(a.sizes[unit_a], b.sizes[unit_b])
    gains = bits[at] - np.float32(FREE + np.log2(max(1.0, size / TYPICAL)))
    kept = gains > 0
    return common[kept], gains[kept]


def limited(a: Bags, b: Bags, pairs: Candidates, by: Law) -> NDArray[np.float64]:
    """The score of each candidate pair, no higher than what the two hold in common can carry."""
    common = held(a, b, pairs)
    most = np.array([by.score(bits) for bits in (common / OVERLAP).tolist()])
    return np.asarray(np.minimum(_weighed(a, b, pairs, common), most), np.float64)


def scores(a: Bags, b: Bags, pairs: Candidates) -> NDArray[np.float64]:
    """The score of each candidate pair."""
    return _weighed(a, b, pairs, held(a, b, pairs))


def _weighed(a: Bags, b: Bags, pairs: Candidates, common: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is held, weighed by the larger of the parts that it makes up."""
    own_a, own_b = own_scores(a)[pairs.a], own_scores(b)[pairs.b]
    part = common / np.maximum(np.minimum(own_a, own_b), 1e-9)
    return common * np.minimum(part, 1.0)


def held(a: Bags, b: Bags, pairs: Candidates) -> NDArray[np.float64]:
    """What the units of each candidate pair hold in common."""
    codes, left, right = _coded(a, b)
    found = np.zeros(len(pairs))
    free = FREE + np.log2(np.maximum(1.0, np.minimum(a.sizes[pairs.a], b.sizes[pairs.b]) / TYPICAL))
    marked = np.zeros(codes, bool)
    order = np.argsort(pairs.a, kind="stable")
    previous = -1
    for row in order.tolist():
        unit_a, unit_b = pairs.a[row], pairs.b[row]
        if unit_a != previous:
            if previous >= 0:
                marked[left[a.starts[previous] : a.starts[previous + 1]]] = False
            marked[left[a.starts[unit_a] : a.starts[unit_a + 1]]] = True
            previous = unit_a
        there = slice(b.starts[unit_b], b.starts[unit_b + 1])
        gains = b.bits[there][marked[right[there]]] - free[row]
        found[row] = gains[gains > 0].sum()
    return found


def _coded(a: Bags, b: Bags) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
    """Small numbers for the terms of both sides, the same for the same term."""
    distinct, codes = np.unique(np.concatenate((a.terms, b.terms)), return_inverse=True)
    codes = codes.reshape(-1)
    return len(distinct), codes[: len(a.terms)], codes[len(a.terms) :]


def own_scores(side: Bags) -> NDArray[np.float64]:
    """The score of each unit with itself: what a complete copy would reach."""
    free = FREE + np.log2(np.maximum(1.0, side.sizes / TYPICAL))
    gains = np.maximum(0.0, side.bits - np.repeat(free, np.diff(side.starts)))
    return np.bincount(side.owners, gains, len(side)).astype(np.float64)
