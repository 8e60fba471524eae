"""The rename map: which name of A stands where which name of B stands, and at how many places."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from detector.fingerprint.fingerprint import Fingerprint
from detector.match.alignment import Pairing
from detector.match.model import Rename, Site

_SITES = 20
_HELD = {"parameter", "variable", "attribute"}
"""kinds of names that a rewrite may turn into one another"""


Place: TypeAlias = tuple[str, int, str, int]
"""path and line of A, path and line of B: what a `Site` is made of"""


Votes: TypeAlias = Mapping[tuple[str, str, str], Sequence[Place]]
"""kind of name, name of A, name of B -> the places where these two stand opposite to each other"""


def votes(a: Fingerprint, b: Fingerprint, pairing: Pairing) -> Votes:
    """What the nodes of one matched pair say of each other's names, position by position."""
    at_a, at_b = _names_at(a), _names_at(b)
    lines_a, lines_b = _lines(a, pairing.a), _lines(b, pairing.b)
    opposite: dict[tuple[str, str], list[Place]] = defaultdict(list)
    for row_a, row_b, line_a, line_b in zip(pairing.a, pairing.b, lines_a, lines_b, strict=True):
        left, right = at_a.get(row_a), at_b.get(row_b)
        if left and right and len(left) == len(right):
            place = a.unit.path, line_a, b.unit.path, line_b
            for names in zip(left, right, strict=True):
                opposite[names].append(place)
    kinds_a = _kinds(a, (name for name, _ in opposite))
    kinds_b = _kinds(b, (name for _, name in opposite))
    found: dict[tuple[str, str, str], list[Place]] = defaultdict(list)
    for (name_a, name_b), places in opposite.items():
        kind, kind_b = kinds_a[name_a], kinds_b[name_b]
        if kind == kind_b or (kind in _HELD and kind_b in _HELD):
            found[kind, name_a.lstrip("."), name_b.lstrip(".")] += places
    return found


def together(several: Iterable[Votes]) -> Votes:
    """The votes of several matches as one."""
    found: dict[tuple[str, str, str], list[Place]] = defaultdict(list)
    for cast in several:
        for names, places in cast.items():
            found[names] += places
    return found


def _lines(unit: Fingerprint, rows: Sequence[int]) -> list[int]:
    lines: list[int] = unit.statements[unit.places[rows], 0].tolist()
    return lines


def _names_at(unit: Fingerprint) -> Mapping[int, list[str]]:
    """The renamable names directly under, or bound to, each node."""
    found: dict[int, list[str]] = defaultdict(list)
    for name, row in zip(unit.names, unit.nodes.tolist(), strict=True):
        found[row].append(name)
    return found


def _kinds(unit: Fingerprint, names: Iterable[str]) -> dict[str, str]:
    """What each of some names of a unit stands for."""
    named = {**dict.fromkeys(unit.unit.parameters, "parameter"), **dict.fromkeys(unit.calls, "function")}
    return {name: "attribute" if name.startswith(".") else named.get(name, "variable") for name in names}


def rename_map(found: Votes) -> tuple[Rename, ...]:
    """For each name of A the name of B that most places put in its stead, with the places that disagree.

    Names that are the same on both sides are agreement too: they count against other pairings, and are
    left out of the result.
    """
    of_a: Counter[tuple[str, str]] = Counter()
    of_b: Counter[tuple[str, str]] = Counter()
    for (kind, a, b), places in found.items():
        of_a[kind, a] += len(places)
        of_b[kind, b] += len(places)
    best: dict[tuple[str, str], tuple[str, str, str]] = {}
    for key in sorted(found, key=lambda key: (-len(found[key]), key)):
        best.setdefault((key[0], key[1]), key)
    renames = []
    for kind, a, b in best.values():
        places = found[kind, a, b]
        contradicting = of_a[kind, a] + of_b[kind, b] - 2 * len(places)
        if a != b and len(places) > contradicting // 2:
            renames.append(Rename(kind, a, b, len(places), contradicting, _sites(places)))
    return tuple(sorted(renames, key=lambda r: (-(r.agreeing - r.contradicting), r.kind, r.a, r.b)))


def _sites(places: Iterable[Place]) -> tuple[Site, ...]:
    """The first sites, in the order of A's text."""
    return tuple(Site(*place) for place in sorted(set(places))[:_SITES])
