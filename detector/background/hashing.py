"""Hashes of hashes: even bits for tables and sketches whatever the hash was made with."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray


def mixed(hashes: NDArray[np.uint64], seed: int = 0) -> NDArray[np.uint64]:
    """Another 64-bit hash of each hash (the finaliser of SplitMix64: Steele, Lea and Flood 2014)."""
    value: NDArray[np.uint64] = hashes ^ np.uint64(seed)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    value = value ^ (value >> np.uint64(31))
    return value


def truncated(hashes: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """32 even bits of each hash: the key under which it is stored."""
    upper: NDArray[np.uint64] = mixed(hashes) >> np.uint64(32)
    return upper.astype(np.uint32)


def digests(texts: Iterable[str]) -> NDArray[np.uint64]:
    """A 64-bit hash of each text, the same on every machine."""
    raw = b"".join(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest() for text in texts)
    return np.frombuffer(raw, "<u8")
