"""Commons: functions that anybody may know, and whether one of them accounts for a match.

Two people who know a published routine write it alike, and no term of it is rare by their doing. So the
background keeps a sketch of each function family that two or more unrelated packages carry, and of the
functions of the core libraries. A family explains a match of A and B as well as they explain each other
when it holds all that they have in common:

    share = bits of A and B and the family / bits of A and B

A sketch holds the informative terms whose hash falls into a sampled part, the same part for all (FracMinHash:
Irber et al. 2022), halved until a large function fits; so shares can be estimated between any two.

A package that is one of the sides (or that one of them was taken from as a whole) bears no witness: `kin`
finds those by what their own sketches contain.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from detector.background.archive import Archive
from detector.background.grouping import distinct, summed
from detector.background.hashing import mixed
from detector.background.table import Table

Hashes: TypeAlias = NDArray[np.uint64]

INFORMATIVE = 8.0
"""bits from which a term is kept in sketches: one function in 256"""
COARSEST = 6
"""a sketch keeps at least one in 2^6 of a unit's informative terms"""
KIN_SAMPLE = 5
"""a package's own sketch holds one in 2^5 of its informative terms"""
KIN_SHARE = 0.3
"""part of a package's sketch that a side holds if it is that package, or a fork of it"""
ARRAYS = (
    "terms", "starts", "ranks", "members", "member_starts", "names", "kin_terms", "kin_starts",
)  # fmt: skip
LEAST_SAMPLED = 6
"""sampled terms that a match must have where a family's sketch is not whole; fewer say nothing"""
_FILTER_BITS = 20


@dataclass(frozen=True, slots=True)
class Explanation:
    """A family that holds `share` of what the two sides of a match share (1: all)."""

    share: float
    family: int
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """Informative terms of `count` units: key, unit, coarsest sketch that holds it, bits. Sorted by key."""

    count: int
    keys: NDArray[np.uint32]
    units: NDArray[np.int64]
    ranks: NDArray[np.uint8]
    bits: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Commons:
    """The families of an opened background."""

    table: Table
    terms: NDArray[np.uint32]
    """keys of family i at `starts[i]` to `starts[i + 1]`"""
    starts: NDArray[np.uint32]
    ranks: NDArray[np.uint8]
    """how often the sketch of each family was halved"""
    members: NDArray[np.uint16]
    """packages of family i at `member_starts[i]` to `member_starts[i + 1]`"""
    member_starts: NDArray[np.uint32]
    names: NDArray[np.uint8]
    """one name for each family, a line each, packed by `packed`"""
    kin_terms: NDArray[np.uint32]
    kin_starts: NDArray[np.uint32]
    packages: tuple[str, ...]
    core: frozenset[int]
    """packages whose every function counts as known"""
    related: frozenset[tuple[int, int]]
    """pairs of packages, smaller number first, that hold a large part of each other"""

    @classmethod
    def of(cls, archive: Archive, table: Table) -> Commons:
        """The commons in an opened file. Raises KeyError for what it lacks."""
        about: dict[str, Any] = archive.about["commons"]
        arrays = {name: archive.arrays[f"commons.{name}"] for name in ARRAYS}
        return cls(
            table=table,
            packages=tuple(about["packages"]),
            core=frozenset(about["core"]),
            related=frozenset((left, right) for left, right in about["related"]),
            **arrays,
        )

    def __len__(self) -> int:
        return len(self.ranks)

    def explain(
        self, matches: Sequence[Hashes], kin: Collection[str] = (), least: float = 0.7
    ) -> list[tuple[Explanation, ...]]:
        """For each match (the terms that its units share) the families with a share of at least `least`,
        best first.

        Packages in `kin` bear no witness: what is left must still be a core library, or two packages
        that are unrelated. Matches without informative terms have no explanation.
        """
        shared = sample(matches, self.table)
        totals, counts = _by_rank(shared, len(matches))
        families, units, bits = self._overlaps(shared)
        ranks = self.ranks[families]
        known = (totals[ranks, units] > 0) & ((counts[ranks, units] >= LEAST_SAMPLED) | (ranks == 0))
        families, units, ranks, bits = (column[known] for column in (families, units, ranks, bits))
        shares = bits / totals[ranks, units]
        chosen = np.flatnonzero(shares >= least)
        found: list[list[Explanation]] = [[] for _ in matches]
        for at in chosen[np.argsort(-shares[chosen], kind="stable")].tolist():
            packages = self._witnesses(int(families[at]), frozenset(kin))
            if packages:
                share = min(1.0, float(shares[at]))
                found[units[at]].append(Explanation(share, int(families[at]), packages))
        return [tuple(explanations) for explanations in found]

    def kin(self, terms: Hashes) -> tuple[str, ...]:
        """The packages that a repository with these terms is, holds or was forked from as a whole."""
        part = terms[mixed(terms) & np.uint64(2**KIN_SAMPLE - 1) == 0]
        places, _ = _places(self.kin_terms, distinct(sample([distinct(part)], self.table).keys))
        owners = np.searchsorted(self.kin_starts, places, "right") - 1
        held = np.bincount(owners, minlength=len(self.packages))
        shares = held / np.maximum(np.diff(self.kin_starts.astype(np.int64)), 1)
        return tuple(self.packages[at] for at in np.flatnonzero(shares >= KIN_SHARE))

    def name(self, family: int) -> str:
        """Module and qualified name of a member of a family, dotted."""
        return zlib.decompress(self.names.tobytes()).decode().split("\n")[family]

    def _overlaps(self, terms: Terms) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Families and units that have terms in common, and the bits of these; by family, then by unit."""
        keys, first, repeats = np.unique(terms.keys, return_index=True, return_counts=True)
        places, hits = _places(self.terms, keys)
        first, repeats = first[hits], repeats[hits]
        families = np.repeat(np.searchsorted(self.starts, places, "right") - 1, repeats)
        rows = np.repeat(first - np.cumsum(repeats) + repeats, repeats) + np.arange(repeats.sum())
        codes, bits = summed(families * terms.count + terms.units[rows], terms.bits[rows])
        families, units = np.divmod(codes, max(1, terms.count))
        return families, units, bits

    def _witnesses(self, family: int, kin: frozenset[str]) -> tuple[str, ...]:
        """Names of the packages that bear witness for a family; empty if they do not suffice."""
        members = self.members[self.member_starts[family] : self.member_starts[family + 1]].tolist()
        left = [package for package in members if self.packages[package] not in kin]
        suffices = any(package in self.core for package in left) or unrelated(left, self.related)
        return tuple(self.packages[package] for package in left) if suffices else ()


def packed(lines: Sequence[str]) -> NDArray[np.uint8]:
    """Lines of text, compressed; dotted names shrink to a fifth."""
    return np.frombuffer(zlib.compress("\n".join(lines).encode("utf-8", "replace"), 9), np.uint8)


def unrelated(packages: Sequence[int], related: Collection[tuple[int, int]]) -> bool:
    """Whether two of these packages are not related to each other."""
    return any(
        (left, right) not in related for at, left in enumerate(packages) for right in packages[at + 1 :]
    )


def sample(units: Sequence[Hashes], table: Table) -> Terms:
    """The informative terms of units, each with the coarsest sketch that holds it."""
    owners = np.repeat(np.arange(len(units)), [len(unit) for unit in units])
    hashes = np.concatenate([*units, np.zeros(0, np.uint64)])
    bits = table.bits(hashes)
    kept = bits >= INFORMATIVE
    hashes, owners, bits = mixed(hashes[kept]), owners[kept], bits[kept]
    keys = (hashes >> np.uint64(32)).astype(np.uint32)
    low = hashes & np.uint64(2**COARSEST - 1)
    ranks = np.zeros(len(keys), np.uint8)
    for rank in range(1, COARSEST + 1):
        ranks += (low & np.uint64(2**rank - 1)) == 0
    order = np.argsort(keys, kind="stable")
    return Terms(len(units), keys[order], owners[order], ranks[order], bits[order])


def _places(terms: NDArray[np.uint32], keys: NDArray[np.uint32]) -> tuple[NDArray[np.int64], ...]:
    """Where an array, however long, holds one of some distinct sorted keys, and which of them stands there.

    A filter of bits comes first, so that few terms need a search.
    """
    if not len(keys):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    shift = np.uint32(32 - _FILTER_BITS)
    present = np.zeros(2**_FILTER_BITS, bool)
    present[keys >> shift] = True
    places = np.flatnonzero(present[terms >> shift])
    found = terms[places]
    hits = np.minimum(np.searchsorted(keys, found), len(keys) - 1)
    held = keys[hits] == found
    return places[held], hits[held]


def _by_rank(terms: Terms, units: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Bits and number of each unit's terms in sketches of each rank: rows are ranks, columns units."""
    held = [terms.ranks >= rank for rank in range(COARSEST + 1)]
    bits = [np.bincount(terms.units[kept], terms.bits[kept], units) for kept in held]
    counts = [np.bincount(terms.units[kept], minlength=units) for kept in held]
    return np.stack(bits).astype(np.float64), np.stack(counts)
