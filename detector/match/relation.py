"""How the units of one side are joined: containment, calls, inheritance, instantiation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from detector.fingerprint.fingerprint import Fingerprint

if TYPE_CHECKING:
    import networkx as nx

_FAMILIAR = 12
"""a name that more units than this carry tells nothing of who calls whom"""


def relations(units: Sequence[Fingerprint]) -> nx.DiGraph[int]:
    """A graph over the rows of `units`; edges have a `kind`: contains, calls, instantiates, inherits.

    Calls are resolved by name, within the file first: a name that a file defines is meant there.
    """
    import networkx as nx  # noqa: PLC0415 - takes a third of a second to import

    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(units)))
    for source, target, kind in _edges(units):
        if source != target and not graph.has_edge(source, target):
            graph.add_edge(source, target, kind=kind)
    return graph


def _edges(units: Sequence[Fingerprint]) -> Iterator[tuple[int, int, str]]:
    by_place = {(unit.unit.path, unit.unit.name): row for row, unit in enumerate(units)}
    by_name: dict[str, list[int]] = defaultdict(list)
    for row, unit in enumerate(units):
        if unit.unit.kind != "module":
            by_name[unit.unit.name.rpartition(".")[2]].append(row)
    for row, unit in enumerate(units):
        parent = by_place.get((unit.unit.path, unit.unit.name.rpartition(".")[0]))
        if parent is not None and unit.unit.kind != "module":
            yield parent, row, "contains"
        for name in unit.calls:
            for target in _meant(by_name[name], unit, units):
                yield row, target, "instantiates" if units[target].unit.kind == "class" else "calls"
        for name in unit.bases:
            for target in _meant(by_name[name], unit, units):
                if units[target].unit.kind == "class":
                    yield row, target, "inherits"


def _meant(named: list[int], unit: Fingerprint, units: Sequence[Fingerprint]) -> list[int]:
    here = [row for row in named if units[row].unit.path == unit.unit.path]
    found = here or named
    return found if len(found) <= _FAMILIAR else []
