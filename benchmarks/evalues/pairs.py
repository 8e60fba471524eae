"""Pairs of unrelated packages and the scores of their units: what chance does."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.background import Background
from detector.background.census import census_digest
from detector.background.corpus import obtain, read_list
from detector.candidate.bag import Bags, bags
from detector.candidate.candidate import Candidates, joined
from detector.errors import UncribError
from detector.fingerprint.fingerprint import Fingerprint
from detector.fingerprint.repository import fingerprint_files
from detector.match.assignment import one_to_one
from detector.match.chance import FITTED, Common, scores
from detector.match.relation import relations
from detector.match.side import Side

CACHE = Path("benchmarks/.cache/evalues")
HELD_OUT = Path("benchmarks/background/held_out.txt")
BYTES = 500_000
"""code read from each package, files chosen by lot: about as much as one research repository holds"""
FEWEST_NODES = 3
_SEED_SCORE = 12.0


@dataclass(frozen=True, slots=True)
class Package:
    """A held-out package: units and their bags."""

    name: str
    units: tuple[Fingerprint, ...]
    bags: Bags

    def side(self) -> Side:
        """The package as a side of a comparison."""
        return Side(self.units, self.bags, relations(self.units))


@dataclass(frozen=True, slots=True)
class Chance:
    """The best pairs between two packages, each unit at most once, where the law was fitted."""

    a: str
    b: str
    pairs: int
    scores: NDArray[np.float64]
    sizes: NDArray[np.int64]
    explained: NDArray[np.bool_]
    names: list[tuple[str, str]]


def packages(label: str, background: Background) -> list[Package]:
    """The held-out packages with a label; what cannot be downloaded is left out and named."""
    found = []
    for line in read_list(HELD_OUT):
        if line.label == label:
            try:
                units = _units(line.requirement)
            except UncribError as error:
                print(f"left out: {error}")
                continue
            found.append(Package(line.requirement, units, bags(units, background.bits)))
    return found


def _units(requirement: str) -> tuple[Fingerprint, ...]:
    kept = CACHE / f"{requirement}-{census_digest()}.pickle"
    if kept.exists():
        units: tuple[Fingerprint, ...] = pickle.loads(kept.read_bytes())
        return units
    package = obtain(requirement, CACHE / "packages")
    files = [
        (path, content)
        for path, content in package.read((".py",))
        if not {"test", "tests", "testing"} & set(path.split("/")[:-1])
    ]
    random.Random(requirement).shuffle(files)
    chosen: dict[str, bytes] = {}
    for path, content in files:
        chosen[path] = content
        if sum(map(len, chosen.values())) > BYTES:
            break
    prints = fingerprint_files(chosen).fingerprints
    units = tuple(u for u in prints if len(u.places) >= FEWEST_NODES or u.unit.kind == "class")
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(pickle.dumps(units))
    return units


def couples(chosen: Sequence[Package], count: int) -> list[tuple[Package, Package]]:
    """Draw `count` pairs of packages by lot."""
    found = list(combinations(chosen, 2))
    random.Random(1990).shuffle(found)
    return found[:count]


def comparisons(chosen: Sequence[Package], count: int, background: Background) -> Iterator[Chance]:
    """Compare `count` pairs of packages, drawn by lot."""
    for a, b in couples(chosen, count):
        yield _compared(a, b, background)


def _compared(a: Package, b: Package, background: Background) -> Chance:
    candidates = joined(a.bags, b.bags, score=_SEED_SCORE)
    found = scores(a.bags, b.bags, candidates)
    order = np.argsort(-found, kind="stable")
    order = order[found[order] >= FITTED]
    ranked = list(zip(candidates.a[order].tolist(), candidates.b[order].tolist(), strict=True))
    kept = one_to_one(ranked)
    rows, units = order[kept], [ranked[at] for at in kept]
    common = [terms for terms, _ in Common.of(a.bags, b.bags).shared(Candidates.of(units))]
    kin = {*background.commons.kin(a.bags.terms), *background.commons.kin(b.bags.terms)}
    explained = background.commons.explain(common, kin)
    return Chance(
        a.name,
        b.name,
        len(a.units) * len(b.units),
        found[rows],
        np.array([min(a.bags.sizes[x], b.bags.sizes[y]) for x, y in units], dtype=np.int64),
        np.array([bool(e) for e in explained], dtype=bool),
        [(place(a.units[x]), place(b.units[y])) for x, y in units],
    )


def place(unit: Fingerprint) -> str:
    """Path and name of a unit."""
    return f"{unit.unit.path}::{unit.unit.name}"
