"""Greedy one-to-one assignment: the best pair first, then the best of those that neither end forbids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

Pair: TypeAlias = tuple[int, int]
"""a row of A's units (or of whatever is paired) and a row of B's"""


def one_to_one(ranked: Iterable[Pair]) -> list[int]:
    """Which of some pairs, best first, to keep so that nothing stands twice on its side: their positions."""
    taken_a: set[int] = set()
    taken_b: set[int] = set()
    kept = []
    for at, (a, b) in enumerate(ranked):
        if a not in taken_a and b not in taken_b:
            taken_a.add(a)
            taken_b.add(b)
            kept.append(at)
    return kept
