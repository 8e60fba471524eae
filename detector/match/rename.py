"""The rename map: which name of A stands where which name of B stands, and at how many places."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from detector.fingerprint.fingerprint import Fingerprint
from detector.match.alignment import Pairing
from detector.match.model import Rename, Site

_SITES = 20
_HELD = {"parameter", "variable", "attribute"}
"""kinds of names that a rewrite may turn into one another"""


Place: TypeAlias = tuple[str, int, str, int]
"""path and line of A, path and line of B: what a `Site` is made of"""


class Vote(NamedTuple):
    """At one pair of corresponding nodes, `a` and `b` stand in the same place."""

    kind: str
    a: str
    b: str
    place: Place


def votes(a: Fingerprint, b: Fingerprint, pairing: Pairing) -> list[Vote]:
    """What the nodes of one matched pair say of each other's names, position by position."""
    at_a, at_b = _names_at(a), _names_at(b)
    kinds_a, kinds_b = _kinds(a), _kinds(b)
    lines_a, lines_b = _lines(a, pairing.a), _lines(b, pairing.b)
    found: list[Vote] = []
    for row_a, row_b, line_a, line_b in zip(pairing.a, pairing.b, lines_a, lines_b, strict=True):
        left, right = at_a.get(row_a), at_b.get(row_b)
        if left is None or right is None or len(left) != len(right):
            continue
        place = a.unit.path, line_a, b.unit.path, line_b
        for name_a, name_b in zip(left, right, strict=True):
            kind = kinds_a[name_a]
            if kind == kinds_b[name_b] or (kind in _HELD and kinds_b[name_b] in _HELD):
                found.append(Vote(kind, name_a.lstrip("."), name_b.lstrip("."), place))
    return found


def _lines(unit: Fingerprint, rows: Sequence[int]) -> list[int]:
    lines: list[int] = unit.statements[unit.places[rows], 0].tolist()
    return lines


def _names_at(unit: Fingerprint) -> dict[int, list[str]]:
    """The renamable names directly under, or bound to, each node."""
    found: dict[int, list[str]] = {}
    for name, row in zip(unit.names, unit.nodes.tolist(), strict=True):
        found.setdefault(row, []).append(name)
    return found


def _kinds(unit: Fingerprint) -> dict[str, str]:
    """What each name of a unit stands for."""
    kinds = dict.fromkeys(unit.names, "variable")
    kinds |= dict.fromkeys(unit.unit.parameters, "parameter")
    kinds |= dict.fromkeys(unit.calls, "function")
    return kinds | {name: "attribute" for name in unit.names if name.startswith(".")}


def rename_map(found: Iterable[Vote]) -> tuple[Rename, ...]:
    """For each name of A the name of B that most places put in its stead, with the places that disagree.

    Names that are the same on both sides are agreement too: they count against other pairings, and are
    left out of the result.
    """
    sites: dict[tuple[str, str, str], list[Place]] = defaultdict(list)
    for kind, a, b, place in found:
        sites[kind, a, b].append(place)
    of_a: Counter[tuple[str, str]] = Counter()
    of_b: Counter[tuple[str, str]] = Counter()
    for (kind, a, b), places in sites.items():
        of_a[kind, a] += len(places)
        of_b[kind, b] += len(places)
    best: dict[tuple[str, str], tuple[str, str, str]] = {}
    for key in sorted(sites, key=lambda key: (-len(sites[key]), key)):
        best.setdefault((key[0], key[1]), key)
    renames = []
    for kind, a, b in best.values():
        places = sites[kind, a, b]
        contradicting = of_a[kind, a] + of_b[kind, b] - 2 * len(places)
        if a != b and len(places) > contradicting // 2:
            renames.append(Rename(kind, a, b, len(places), contradicting, _sites(places)))
    return tuple(sorted(renames, key=lambda r: (-(r.agreeing - r.contradicting), r.kind, r.a, r.b)))


def _sites(places: Iterable[Place]) -> tuple[Site, ...]:
    """The first sites, in the order of A's text."""
    return tuple(Site(*place) for place in sorted(set(places))[:_SITES])
