"""Shares: how large a part of public code holds a thing, counted so that copies do not drown the estimate.

docs/statistics.md says why the weights are what they are, and shows the measurement behind them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.background.family import TermSets, families, identities, pooled
from detector.background.lexicon import Lexicon

_PARTS = 16
"""slices of the hash space that are counted one after the other, to bound memory"""


@dataclass(frozen=True, slots=True)
class Population:
    """The distinct units of all packages, their families, and who carries them.

    Carriers: row i says that package `packages[i]` holds distinct unit `units[i]`; `origins[i]` is its
    place among all units of all packages, in order.
    """

    bags: TermSets
    families: NDArray[np.int64]
    units: NDArray[np.int64]
    packages: NDArray[np.int64]
    origins: NDArray[np.int64]

    @property
    def size(self) -> int:
        """The number of families."""
        return int(self.families.max()) + 1 if len(self.families) else 0


def population(packages: Sequence[TermSets]) -> Population:
    """Pool the units of packages: equal ones are one, alike ones are of one family, empty ones left out."""
    everything = pooled(list(packages))
    owners = np.repeat(np.arange(len(packages)), [len(bags) for bags in packages])
    filled = np.flatnonzero(everything.sizes() > 0)
    _, first, units = np.unique(identities(everything)[filled], return_index=True, return_inverse=True)
    bags = everything.chosen(filled[first])
    return Population(bags, families(bags), units.reshape(-1), owners[filled], filled)


def unit_weights(people: Population) -> NDArray[np.float64]:
    """The weight of each distinct unit.

    A family counts once, shared out among its members; and a package's families count as the root of
    their number, so that one large house's habits do not stand for everybody's. A unit that several
    packages hold has the mean of what it would weigh in each.
    """
    members = np.bincount(people.families, minlength=people.size)[people.families]
    sizes = np.bincount(people.packages)
    holders = np.bincount(people.units, minlength=len(people.bags))
    rooted = np.bincount(people.units, sizes[people.packages] ** -0.5, len(people.bags))
    return rooted / (holders * members)


def term_shares(
    people: Population, weights: NDArray[np.float64]
) -> tuple[NDArray[np.uint64], NDArray[np.float64], float]:
    """Each distinct term, its part of the total weight, and the number of families the sample is worth.

    Terms of a single unit are left out. A weighted sample is worth (sum of weights)^2 / (sum of their
    squares) observations (Kish 1965).
    """
    parts = [_tally(people.bags.terms[chosen], weights[owners]) for chosen, owners in _slices(people.bags)]
    hashes, sums = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    of_families = np.bincount(people.families, weights)
    total = float(of_families.sum())
    return hashes, sums / total, total**2 / float((of_families**2).sum())


def word_shares(lexicons: Sequence[Lexicon]) -> tuple[NDArray[np.uint64], NDArray[np.float64], float]:
    """Each distinct word, its share of places, and the number of places that the sample is worth.

    A package weighs as the root of its places, as for terms.
    """
    filled = [lexicon for lexicon in lexicons if lexicon.places]
    total = sum(lexicon.places**0.5 for lexicon in filled)
    if not filled:
        return np.zeros(0, np.uint64), np.zeros(0), 0.0
    hashes = np.concatenate([lexicon.hashes for lexicon in filled])
    held = np.concatenate([lexicon.counts / lexicon.places**0.5 for lexicon in filled])
    unique, inverse = np.unique(hashes, return_inverse=True)
    return unique, np.bincount(inverse.reshape(-1), held) / total, total**2 / len(filled)


def _slices(bags: TermSets) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    owners = bags.owners()
    slots = (bags.terms & np.uint64(_PARTS - 1)).astype(np.uint8)
    for part in range(_PARTS):
        chosen = np.flatnonzero(slots == part)
        yield chosen, owners[chosen]


def _tally(
    terms: NDArray[np.uint64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
    order = np.argsort(terms)
    terms, weights = terms[order], weights[order]
    starts = np.flatnonzero(np.concatenate((np.ones(min(1, len(terms)), bool), terms[1:] != terms[:-1])))
    sums = np.add.reduceat(weights, starts) if len(starts) else np.zeros(0)
    repeated = np.diff(np.concatenate((starts, [len(terms)]))) > 1
    return terms[starts][repeated], sums[repeated]
