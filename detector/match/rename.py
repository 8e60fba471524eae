"""The rename map: which name of A stands where which name of B stands, and at how many places."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from detector.fingerprint.fingerprint import Fingerprint
from detector.match.alignment import Pairing, names_at
from detector.match.model import Rename, Site

_SITES = 20


@dataclass(frozen=True, slots=True)
class Vote:
    """At one pair of corresponding nodes, `a` and `b` stand in the same place."""

    kind: str
    a: str
    b: str
    site: Site


def votes(a: Fingerprint, b: Fingerprint, pairing: Pairing) -> list[Vote]:
    """What the nodes of one matched pair say of each other's names, position by position."""
    at_a, at_b = names_at(a, pairing.a.tolist()), names_at(b, pairing.b.tolist())
    found: list[Vote] = []
    for row_a, row_b in zip(pairing.a.tolist(), pairing.b.tolist(), strict=True):
        left, right = at_a.get(row_a, []), at_b.get(row_b, [])
        if len(left) != len(right):
            continue
        site = Site(a.unit.path, _line(a, row_a), b.unit.path, _line(b, row_b))
        for name_a, name_b in zip(left, right, strict=True):
            kind = _kind(name_a, a)
            if kind == _kind(name_b, b) or {kind, _kind(name_b, b)} <= {"parameter", "variable", "attribute"}:
                found.append(Vote(kind, name_a.lstrip("."), name_b.lstrip("."), site))
    return found


def _line(unit: Fingerprint, row: int) -> int:
    return int(unit.statements[unit.places[row], 0])


def _kind(name: str, unit: Fingerprint) -> str:
    if name.startswith("."):
        return "attribute"
    if name in unit.calls:
        return "function"
    return "parameter" if name in unit.unit.parameters else "variable"


def rename_map(found: Iterable[Vote], classes: Mapping[str, bool] | None = None) -> tuple[Rename, ...]:
    """For each name of A the name of B that most places put in its stead, with the places that disagree.

    Names that are the same on both sides are agreement too: they count against other pairings, and are
    left out of the result.
    """
    sites: dict[tuple[str, str, str], list[Site]] = defaultdict(list)
    for vote in found:
        sites[vote.kind, vote.a, vote.b].append(vote.site)
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
            kind_shown = "class" if classes and classes.get(a) else kind
            renames.append(Rename(kind_shown, a, b, len(places), contradicting, tuple(sorted_sites(places))))
    return tuple(sorted(renames, key=lambda r: (-(r.agreeing - r.contradicting), r.kind, r.a, r.b)))


def sorted_sites(places: Iterable[Site]) -> list[Site]:
    """The first sites, in the order of A's text."""
    return sorted(set(places), key=lambda s: (s.a_path, s.a_line, s.b_path, s.b_line))[:_SITES]
