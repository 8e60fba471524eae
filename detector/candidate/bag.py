"""All units of one side as bags of terms, in flat arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.background.grouping import distinct
from detector.fingerprint.fingerprint import Fingerprint
from detector.fingerprint.term import LEVELS

Bits = Callable[[NDArray[np.uint64]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Bags:
    """Unit i holds the distinct terms `terms[starts[i]:starts[i+1]]` (sorted), of rarity `bits`.

    `sizes` counts the unit's distinct dataflow nodes: what chance scores grow with.
    """

    terms: NDArray[np.uint64]
    bits: NDArray[np.float32]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, unit: int) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
        """Terms and bits of one unit."""
        chosen = slice(self.starts[unit], self.starts[unit + 1])
        return self.terms[chosen], self.bits[chosen]

    def rarity(self, unit: int, terms: NDArray[np.uint64]) -> NDArray[np.float32]:
        """Bits of some terms that a unit holds, in the order given."""
        held, bits = self.of(unit)
        return bits[np.searchsorted(held, terms)]

    @property
    def owners(self) -> NDArray[np.int64]:
        """The unit of each term."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))


def bags(fingerprints: Sequence[Fingerprint], bits: Bits) -> Bags:
    """Pool the units' terms; `bits` gives the rarity of hashes."""
    none = np.zeros((0, len(LEVELS)), np.int64)
    nodes = np.concatenate([none, *(unit.terms for unit in fingerprints)]).view(np.uint64)
    owners = np.repeat(np.arange(len(fingerprints)), [len(unit.terms) for unit in fingerprints])
    known, places = np.unique(nodes, return_inverse=True)
    # a unit's number and a term's place in one, so that sorting these sorts by unit, then by term
    codes = owners[:, None] * len(known) + places.reshape(nodes.shape)
    units, terms = np.divmod(distinct(codes.ravel()), max(1, len(known)))
    deepest = distinct(codes[:, 2]) // max(1, len(known))
    counts = np.bincount(units, minlength=len(fingerprints))
    return Bags(
        known[terms],
        bits(known)[terms],
        np.concatenate(([0], np.cumsum(counts))),
        np.bincount(deepest, minlength=len(fingerprints)),
    )
