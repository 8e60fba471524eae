"""How the units of one side are joined: containment, calls, inheritance, instantiation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from detector.fingerprint.fingerprint import Fingerprint

_FAMILIAR = 12
"""a name that more units than this carry tells nothing of who calls whom"""


@dataclass(frozen=True, slots=True)
class Relations:
    """A directed graph over the rows of a side's units: neighbour -> kind of edge, for each row.

    Kinds: contains, calls, instantiates, inherits. Matching asks nothing of it but who stands next to whom;
    loading a graph library for that would take longer than matching does.
    """

    successors: tuple[Mapping[int, str], ...]
    predecessors: tuple[Mapping[int, str], ...]


def relations(units: Sequence[Fingerprint]) -> Relations:
    """How some units are joined; of several edges between two units the first in the text is kept.

    Calls are resolved by name, within the file first: a name that a file defines is meant there.
    """
    successors: tuple[dict[int, str], ...] = tuple({} for _ in units)
    predecessors: tuple[dict[int, str], ...] = tuple({} for _ in units)
    for source, target, kind in _edges(units):
        if source != target and target not in successors[source]:
            successors[source][target] = predecessors[target][source] = kind
    return Relations(successors, predecessors)


def _edges(units: Sequence[Fingerprint]) -> Iterator[tuple[int, int, str]]:
    by_place = {(unit.unit.path, unit.unit.name): row for row, unit in enumerate(units)}
    named = _Named.of(units)
    for row, unit in enumerate(units):
        parent = by_place.get((unit.unit.path, unit.unit.name.rpartition(".")[0]))
        if parent is not None and unit.unit.kind != "module":
            yield parent, row, "contains"
        for name in unit.calls:
            for target in named.meant(name, unit.unit.path):
                yield row, target, "instantiates" if units[target].unit.kind == "class" else "calls"
        for name in unit.bases:
            for target in named.meant(name, unit.unit.path):
                if units[target].unit.kind == "class":
                    yield row, target, "inherits"


@dataclass(frozen=True, slots=True)
class _Named:
    """Rows of the functions and classes that carry a name, anywhere and by file."""

    anywhere: Mapping[str, list[int]]
    by_file: Mapping[tuple[str, str], list[int]]

    @classmethod
    def of(cls, units: Sequence[Fingerprint]) -> _Named:
        anywhere: dict[str, list[int]] = defaultdict(list)
        by_file: dict[tuple[str, str], list[int]] = defaultdict(list)
        for row, unit in enumerate(units):
            if unit.unit.kind != "module":
                name = unit.unit.name.rpartition(".")[2]
                anywhere[name].append(row)
                by_file[unit.unit.path, name].append(row)
        return cls(anywhere, by_file)

    def meant(self, name: str, path: str) -> list[int]:
        """What a name stands for in a file; nothing if it could be too many."""
        found = self.by_file.get((path, name)) or self.anywhere.get(name, [])
        return found if len(found) <= _FAMILIAR else []
