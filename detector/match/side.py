"""One side of a comparison: its units, what they hold and how they are joined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from detector.candidate.bag import Bags
from detector.fingerprint.fingerprint import Fingerprint
from detector.match.relation import Relations


@dataclass(frozen=True, slots=True)
class Side:
    """One side's units, their bags and their graph, row by row."""

    units: Sequence[Fingerprint]
    bags: Bags
    graph: Relations

    def holders(self, row: int) -> Iterator[int]:
        """What contains a unit."""
        return (holder for holder, kind in self.graph.predecessors[row].items() if kind == "contains")

    def members(self, row: int) -> list[int]:
        """What a unit contains, in the order of the text."""
        return sorted(member for member, kind in self.graph.successors[row].items() if kind == "contains")

    def beside(self, row: int) -> Iterator[int]:
        """The other members of what contains a unit."""
        for holder in self.holders(row):
            yield from (member for member in self.members(holder) if member != row)

    def class_of(self, row: int) -> int | None:
        """The class that a method belongs to."""
        return next((holder for holder in self.holders(row) if self.units[holder].unit.kind == "class"), None)

    def last_name(self, row: int) -> str:
        """A unit's name without what it stands in."""
        return self.units[row].unit.name.rpartition(".")[2]

    def is_function(self, row: int) -> bool:
        """Is a unit a function or a method, not a class or a module's own code?"""
        return self.units[row].unit.kind in ("function", "method")
