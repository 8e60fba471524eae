"""Families: functions that are the same text at heart, so that copies count once.

Public code holds the same function many times: vendored, forked, or written out again for each model of a
zoo. A term of such a function is no more common among independent hands for that. The first function met
leads a family, and those whose term sets have a Jaccard similarity of `LIKENESS` or more with it belong to
it (the leader algorithm: Hartigan 1975, ch. 3); families do not grow by chains of likeness, in which
the many small functions would all end up as one. Alike pairs are found by MinHash bands (Broder 1997;
Leskovec et al. 2014, ch. 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.background.hashing import mixed

LIKENESS = 0.6
"""Jaccard similarity from which two functions are of one family"""
BANDS, ROWS = 16, 5
"""a pair of similarity s shares a band with probability 1 - (1 - s^5)^16: 0.73 at 0.6, 0.998 at 0.8"""
_SEED = 20240527


@dataclass(frozen=True, slots=True)
class TermSets:
    """Many sets of hashes, end to end: set i is `terms[starts[i]:starts[i + 1]]`, distinct and sorted."""

    terms: NDArray[np.uint64]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def sizes(self) -> NDArray[np.int64]:
        """The number of terms of each set."""
        return self.starts[1:] - self.starts[:-1]

    def owners(self) -> NDArray[np.int64]:
        """The set that each term belongs to."""
        return np.repeat(np.arange(len(self)), self.sizes())

    def chosen(self, which: NDArray[np.int64]) -> TermSets:
        """The sets with these numbers, in this order."""
        sizes = self.sizes()[which]
        starts = np.concatenate(([0], np.cumsum(sizes)))
        places = np.arange(starts[-1]) + np.repeat(self.starts[:-1][which] - starts[:-1], sizes)
        return TermSets(self.terms[places], starts)


def pooled(bags: list[TermSets]) -> TermSets:
    """All sets of several collections, in order."""
    sizes = np.concatenate([bag.sizes() for bag in bags] or [np.zeros(0, np.int64)])
    terms = np.concatenate([bag.terms for bag in bags] or [np.zeros(0, np.uint64)])
    return TermSets(terms, np.concatenate(([0], np.cumsum(sizes))))


def identities(bags: TermSets) -> NDArray[np.uint64]:
    """A hash of each set as a whole: equal sets, equal hashes. Empty sets have 0."""
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(mixed(bags.terms, _SEED), dtype=np.uint64)))
    return sums[bags.starts[1:]] - sums[bags.starts[:-1]]


def families(bags: TermSets) -> NDArray[np.int64]:
    """The family of each set, as numbers from 0. Sets must not be empty."""
    signatures = _signatures(bags)
    bands = (signatures[:, band * ROWS : (band + 1) * ROWS] for band in range(BANDS))
    edges = np.unique(np.concatenate([_edges(signatures, band) for band in bands]), axis=0)
    leaders = np.full(len(bags), -1)
    for first, second in edges.tolist():
        if leaders[first] < 0:
            leaders[first] = first
        if leaders[second] < 0 and leaders[first] == first:
            leaders[second] = first
    alone = leaders < 0
    leaders[alone] = np.flatnonzero(alone)
    numbers: NDArray[np.int64] = np.unique(leaders, return_inverse=True)[1].reshape(-1)
    return numbers


def _signatures(bags: TermSets) -> NDArray[np.uint32]:
    """One row of `BANDS * ROWS` minima for each set."""
    seeds = np.random.default_rng(_SEED).integers(1, 2**63, BANDS * ROWS, dtype=np.uint64)
    signatures = np.empty((len(bags), len(seeds)), np.uint32)
    for column, seed in enumerate(seeds):
        minima = np.minimum.reduceat(mixed(bags.terms, int(seed)), bags.starts[:-1])
        signatures[:, column] = minima >> np.uint64(32)
    return signatures


def _edges(signatures: NDArray[np.uint32], band: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Rows (first, other): the first set of a bucket with each other one that is alike by all minima."""
    order = np.lexsort(band.T)
    opens = np.ones(len(order), bool)
    opens[1:] = (band[order[1:]] != band[order[:-1]]).any(axis=1)
    first = order[np.flatnonzero(opens)[np.cumsum(opens) - 1]][~opens]
    other = order[~opens]
    alike = (signatures[first] == signatures[other]).mean(axis=1) >= LIKENESS
    return np.stack([first[alike], other[alike]], axis=1)
