"""Equal values of an array brought together, by sorting alone.

numpy.unique does the same, but goes through a hash table or sorts several times; a comparison asks it often
enough, of arrays long enough, that this shows.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", np.int64, np.uint32, np.uint64)


def distinct(values: NDArray[Number]) -> NDArray[Number]:
    """The values in ascending order, each once."""
    ordered = np.sort(values)
    return ordered[firsts(ordered)]


def firsts(ordered: NDArray[Number]) -> NDArray[np.int64]:
    """Where each run of equal values begins."""
    new = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return np.flatnonzero(new)


def summed(
    values: NDArray[Number], weights: NDArray[np.float32]
) -> tuple[NDArray[Number], NDArray[np.float64]]:
    """The values in ascending order, each once, and for each the sum of its weights."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = firsts(ordered)
    if not len(starts):
        return ordered, np.zeros(0)
    return ordered[starts], np.add.reduceat(weights[order].astype(np.float64), starts)
