"""Build a background: packages in, one file out.

list -> corpus -> census of each package -> population -> tables and commons -> file
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.background.archive import write_archive
from detector.background.census import Census, census, census_digest
from detector.background.corpus import obtain, read_list
from detector.background.rarity import KINDS
from detector.background.sketch import Roles, sketches
from detector.background.table import Table, tabulate
from detector.background.weighing import Population, population, term_shares, unit_weights, word_shares
from detector.errors import UncribError
from detector.snapshot.cache import cache_folder

CAPACITY = {"term": 1_250_000, "word": 170_000, "text": 60_000, "key": 20_000, "entry": 40_000}
"""entries of each table, at 5 bytes: 7.7 MB in all"""
CORE = "core"
"""label of the libraries that everybody knows: all their functions are commons"""
ZOO = "zoo"
"""label of packages that carry over other people's models: together they are one witness"""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Built:
    """What a build did: how many packages were counted, and why others were not."""

    path: Path
    packages: int
    functions: int
    families: int
    skipped: tuple[tuple[str, str], ...]
    """requirement, and the sentence that says what was wrong with it"""


def build(
    packages: Path,
    out: Path,
    progress: Progress = lambda phase, done, total: None,
    jobs: int = 2,
    cache: Path | None = None,
) -> Built:
    """Download and count the listed packages and write a background, with its list as `.tsv` beside it.

    What is already in the cache is not done again. A package that cannot be downloaded or read is
    skipped, named and counted. Raises UncribError if the list is unusable or nothing could be counted.
    """
    wanted = read_list(packages)
    counted: list[Census] = []
    skipped: list[tuple[str, str]] = []
    requirements = [line.requirement for line in wanted]
    for at, (requirement, outcome) in enumerate(
        censuses(requirements, cache or cache_folder("background"), jobs), 1
    ):
        if isinstance(outcome, Census):
            counted.append(outcome)
        else:
            skipped.append((requirement, outcome))
        progress("count packages", at, len(wanted))
    if not counted:
        raise UncribError(f"none of the packages in {packages} could be counted; the first: {skipped[0][1]}")
    counted.sort(key=lambda census: census.package.name)
    progress("weigh terms", 0, 1)
    people = population([census.units.bags for census in counted])
    about, arrays = _contents(counted, people, {line.name: line.label for line in wanted})
    write_archive(out, about, arrays)
    out.with_suffix(".tsv").write_text(_listing(counted, people, skipped), encoding="utf-8")
    progress("weigh terms", 1, 1)
    return Built(out, len(counted), about["functions"], people.size, tuple(skipped))


def censuses(wanted: Sequence[str], cache: Path, jobs: int) -> Iterator[tuple[str, Census | str]]:
    """Each requirement with its census, or with the reason why there is none."""
    if jobs == 1:
        for requirement in wanted:
            yield requirement, _census(cache, requirement)
        return
    with ProcessPoolExecutor(jobs or None) as pool:
        yield from zip(wanted, pool.map(partial(_census, cache), wanted), strict=True)


def _census(cache: Path, requirement: str) -> Census | str:
    try:
        return census(obtain(requirement, cache / "packages"), cache / "census")
    except UncribError as error:
        return str(error)
    except Exception as error:  # one package must not end a build of hundreds
        return f"{requirement} could not be counted ({type(error).__name__}: {error})"


def _contents(
    counted: Sequence[Census], people: Population, labels: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Header and arrays; `labels` says by name which packages are core libraries or zoos."""
    terms = tabulate(*term_shares(people, unit_weights(people)), CAPACITY["term"])
    tables = {"term": terms} | {
        kind: tabulate(*word_shares([census.lexicons[kind] for census in counted]), CAPACITY[kind])
        for kind in KINDS
    }
    packages = [census.package.name for census in counted]
    core, zoos = (
        frozenset(at for at, name in enumerate(packages) if labels.get(name) == label)
        for label in (CORE, ZOO)
    )
    names = [name for census in counted for name in census.units.names]
    commons, arrays = sketches(people, names, packages, Roles(core, zoos), terms)
    for kind, table in tables.items():
        arrays |= {f"{kind}.keys": table.keys, f"{kind}.steps": table.steps}
    return _about(counted, people, tables) | {"commons": commons}, arrays


def _about(counted: Sequence[Census], people: Population, tables: dict[str, Table]) -> dict[str, Any]:
    packages = [f"{census.package.name}=={census.package.version}" for census in counted]
    digest = blake2b(json.dumps([packages, census_digest()]).encode(), digest_size=4).hexdigest()
    return {
        "name": "public machine-learning code",
        "version": f"{datetime.now(timezone.utc):%Y-%m-%d}-{digest}",
        "packages": packages,
        "functions": len(np.unique(people.units[_functions(counted, people)])),
        "families": people.size,
        "unknown": {kind: table.unknown for kind, table in tables.items()},
    }


def _functions(counted: Sequence[Census], people: Population) -> NDArray[np.bool_]:
    """Which of the carriers are functions or methods."""
    return np.concatenate([census.units.functions for census in counted])[people.origins] > 0


def _listing(counted: Sequence[Census], people: Population, skipped: Sequence[tuple[str, str]]) -> str:
    """Name, version, licence and counts of each package, then the skipped ones with the reason."""
    functions = _functions(counted, people)
    lines = ["name\tversion\tlicence\tfiles\tunreadable_files\tfunctions\tdistinct_functions"]
    for at, one in enumerate(counted):
        package, units = one.package, one.units
        distinct = len(np.unique(people.units[functions & (people.packages == at)]))
        row = (package.name, package.version, package.licence, units.files, units.skipped)
        lines.append("\t".join(map(str, (*row, int(units.functions.sum()), distinct))))
    lines += [f"# skipped: {requirement}\t{' '.join(why.split())}" for requirement, why in skipped]
    return "\n".join(lines) + "\n"
