"""Making the commons: which families anybody may know, and a sketch of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.background.commons import COARSEST, INFORMATIVE, KIN_SAMPLE, packed, sample, unrelated
from detector.background.family import TermSets
from detector.background.table import Table
from detector.background.weighing import Population

CAPACITY = 90_000
"""families that are kept, those of most packages first: about 11 MB"""
LEAST_BITS = 80.0
"""a family that carries less is too small to be the whole of any match"""
RELATED_SHARE = 0.3
"""part of a package's families that stand in another one if the two are related"""
_SIZEABLE = 20
"""terms of a unit that tells whether two packages are related"""
_MOST_TERMS = 40
"""a sketch is halved until it holds no more"""


@dataclass(frozen=True, slots=True)
class Roles:
    """Packages by number. Every function of a `core` library is known to everybody; `zoos` carry over
    other people's models, so that any number of them is one witness.
    """

    core: frozenset[int] = frozenset()
    zoos: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Chosen:
    """Families that are kept: their numbers, the terms that half of the members have, their packages."""

    families: NDArray[np.int64]
    bags: TermSets
    packages: list[list[int]]


def sketches(
    people: Population, names: Sequence[str], packages: Sequence[str], roles: Roles, table: Table
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What `Commons.of` reads: the entry of the header, and the arrays. `names` are those of all units."""
    related = relations(people, len(packages)) | frozenset(combinations(sorted(roles.zoos), 2))
    chosen = choose(people, roles.core, related, table)
    terms, starts, ranks = _halved(chosen.bags, table)
    kin_terms, kin_starts = _kin(people, len(packages), table)
    arrays: dict[str, NDArray[Any]] = {
        "terms": terms,
        "starts": starts,
        "ranks": ranks,
        "members": _flat(chosen.packages, "u2"),
        "member_starts": _ends(list(map(len, chosen.packages))),
        "names": packed(_names(people, chosen, names, roles.core)),
        "kin_terms": kin_terms,
        "kin_starts": kin_starts,
    }
    about = {"packages": list(packages), "core": sorted(roles.core), "related": sorted(related)}
    return about, {f"commons.{name}": array for name, array in arrays.items()}


def relations(people: Population, packages: int) -> frozenset[tuple[int, int]]:
    """Pairs of packages of which one holds a large part of the other's sizeable families."""
    from scipy.sparse import coo_array  # noqa: PLC0415

    sizeable = people.bags.sizes()[people.units] >= _SIZEABLE
    held, families = people.packages[sizeable], people.families[people.units[sizeable]]
    shape = (packages, people.size)
    matrix = (coo_array((np.ones(len(held), np.int32), (held, families)), shape=shape).tocsr() > 0).astype(
        np.int32
    )
    common = (matrix @ matrix.T).toarray()
    sizes = np.maximum(np.diag(common), 1)
    left, right = np.nonzero(np.triu(common >= RELATED_SHARE * np.minimum.outer(sizes, sizes), 1))
    return frozenset(zip(left.tolist(), right.tolist(), strict=True))


def choose(
    people: Population, core: frozenset[int], related: frozenset[tuple[int, int]], table: Table
) -> Chosen:
    """Families of two unrelated packages or of a core library that carry enough bits."""
    rows = np.unique(np.stack([people.families[people.units], people.packages], axis=1), axis=0)
    starts = np.flatnonzero(np.diff(rows[:, 0], prepend=-1))
    members = [part.tolist() for part in np.split(rows[:, 1], starts[1:])]
    known = [bool(core.intersection(packages)) or unrelated(packages, related) for packages in members]
    families = rows[starts, 0][known]
    packages = [part for part, kept in zip(members, known, strict=True) if kept]
    bags = _consensus(people, families)
    bits = table.bits(bags.terms)
    bits[bits < INFORMATIVE] = 0
    totals = np.bincount(bags.owners(), bits, len(bags))
    heavy = np.flatnonzero(totals >= LEAST_BITS)
    carriers = np.array([len(packages[at]) for at in heavy], np.int64)
    kept = np.sort(heavy[np.lexsort((-totals[heavy], -carriers))[:CAPACITY]])
    return Chosen(families[kept], bags.chosen(kept), [packages[at] for at in kept])


def _consensus(people: Population, families: NDArray[np.int64]) -> TermSets:
    """For each of these families (ascending) the terms that at least half of its members have."""
    place = np.full(people.size, -1)
    place[families] = np.arange(len(families))
    wanted = np.flatnonzero(place[people.families] >= 0)
    bags = people.bags.chosen(wanted)
    of = place[people.families[wanted]]
    owners = of[bags.owners()]
    order = np.lexsort((bags.terms, owners))
    owners, terms = owners[order], bags.terms[order]
    firsts = np.flatnonzero((np.diff(owners, prepend=-1) != 0) | (np.diff(terms, prepend=~terms[:1]) != 0))
    counts = np.diff(firsts, append=len(terms))
    kept = 2 * counts >= np.bincount(of, minlength=len(families))[owners[firsts]]
    sizes = np.bincount(owners[firsts][kept], minlength=len(families))
    return TermSets(terms[firsts][kept], np.concatenate(([0], np.cumsum(sizes))))


def _halved(bags: TermSets, table: Table) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint8]]:
    """Keys, starts and ranks of the sketches."""
    terms = sample(np.split(bags.terms, bags.starts[1:-1]), table)
    ranks = np.zeros(len(bags), np.uint8)
    for rank in range(COARSEST):
        sizes = np.bincount(terms.units[terms.ranks >= rank], minlength=len(bags))
        ranks[(sizes > _MOST_TERMS) & (ranks == rank)] += 1
    kept = terms.ranks >= ranks[terms.units]
    order = np.lexsort((terms.keys[kept], terms.units[kept]))
    sizes = np.bincount(terms.units[kept], minlength=len(bags))
    return terms.keys[kept][order], _ends(sizes.tolist()), ranks


def _kin(people: Population, packages: int, table: Table) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """The sampled keys of each package's distinct informative terms, and where each package's begin."""
    sampled = []
    for package in range(packages):
        units = np.unique(people.units[people.packages == package])
        terms = sample([np.unique(people.bags.chosen(units).terms)], table)
        sampled.append(np.unique(terms.keys[terms.ranks >= KIN_SAMPLE]))
    return np.concatenate(sampled), _ends([len(keys) for keys in sampled])


def _names(people: Population, chosen: Chosen, names: Sequence[str], core: frozenset[int]) -> list[str]:
    """The name of one member of each family, of a core library if it has one."""
    families = people.families[people.units]
    strange = ~np.isin(people.packages, np.array(sorted(core), np.int64))
    order = np.lexsort((people.origins, strange, families))
    first = order[np.searchsorted(families[order], chosen.families)]
    return [names[origin] for origin in people.origins[first]]


def _flat(lists: Sequence[Sequence[int]], dtype: str) -> NDArray[Any]:
    return np.array([item for part in lists for item in part], dtype)


def _ends(sizes: Sequence[int]) -> NDArray[np.uint32]:
    return np.concatenate(([0], np.cumsum(sizes, dtype=np.int64))).astype(np.uint32)
