"""All units of one side as bags of terms, in flat arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.fingerprint.fingerprint import Fingerprint

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

    @property
    def owners(self) -> NDArray[np.int64]:
        """The unit of each term."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))


def bags(fingerprints: Sequence[Fingerprint], bits: Bits) -> Bags:
    """Pool the units' terms; `bits` gives the rarity of hashes."""
    pooled = [np.unique(unit.terms.view(np.uint64)) for unit in fingerprints]
    sizes = [len(set(unit.terms[:, 2].tolist())) for unit in fingerprints]
    terms = np.concatenate(pooled) if pooled else np.zeros(0, np.uint64)
    starts = np.concatenate(([0], np.cumsum([len(terms) for terms in pooled]))).astype(np.int64)
    return Bags(terms, bits(terms), starts, np.array(sizes, dtype=np.int64))
