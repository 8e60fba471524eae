"""How many bits a thing carries: a sorted table of hashes beside their rarity.

A thing seen in a share p of public code carries -log2 p bits (Shannon 1948). Hashes are truncated to 32
bits: with n entries a thing that was never counted is taken for a counted one in n / 2^32 of all cases,
0.04 % for 1.6 million. Bits are kept in steps of 1/8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.background.hashing import truncated

STEPS = 8
"""steps of one bit"""
_LARGEST = 255


@dataclass(frozen=True, slots=True)
class Table:
    """Rarities of one kind of thing.

    `keys` are truncated hashes in ascending order, `steps` their bits in steps of 1/8. Whatever is not in
    the table carries `unknown` bits: what the size of the sample supports, not infinity.
    """

    keys: NDArray[np.uint32]
    steps: NDArray[np.uint8]
    unknown: float

    def bits(self, hashes: NDArray[np.uint64]) -> NDArray[np.float32]:
        """Bits of each hash, in the order given."""
        wanted, places = np.unique(truncated(hashes), return_inverse=True)
        if not len(self.keys) or not len(wanted):
            return np.full(len(hashes), self.unknown, np.float32)
        at = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        found = np.where(
            self.keys[at] == wanted, self.steps[at].astype(np.float32) / STEPS, np.float32(self.unknown)
        )
        return found.astype(np.float32)[places.reshape(-1)]


def tabulate(hashes: NDArray[np.uint64], shares: NDArray[np.float64], sample: float, capacity: int) -> Table:
    """Keep the `capacity` commonest things; the rarest one kept sets the bits of all that are not.

    `hashes` are distinct; `shares` are parts of a sample of `sample` independent observations, and are
    corrected by the rule of succession (Laplace 1814): a thing seen n times in N has (n + 1) / (N + 2). Of
    two things whose keys agree the commoner one is kept, so that no error adds bits.
    """
    commonest = np.argsort(-shares, kind="stable")[:capacity]
    keys, first = np.unique(truncated(hashes[commonest]), return_index=True)
    corrected = (shares[commonest][first] * sample + 1) / (sample + 2)
    steps = np.clip(np.floor(-np.log2(corrected) * STEPS), 0, _LARGEST).astype(np.uint8)
    cut = len(hashes) > capacity
    unknown = steps.max() / STEPS if cut else min(np.log2(sample + 2), _LARGEST / STEPS)
    return Table(keys, steps, float(unknown))
