"""The census of one package: the term set of each of its units, and its words, kept for the next build."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from detector.background.corpus import Package
from detector.background.family import Bags
from detector.background.lexicon import Lexicon, read_lexicons
from detector.background.rarity import KINDS, Kind

if TYPE_CHECKING:
    from detector.fingerprint.fingerprint import Declared, Fingerprint, World

_SECONDS = 5.0
"""time for the syntax tree of one file"""


@dataclass(frozen=True, slots=True)
class Census:
    """What was counted in one package. Unit i has the terms of set i and the name `names[i]`."""

    name: str
    version: str
    licence: str
    files: int
    """Python files that could be read"""
    skipped: int
    """Python files that could not"""
    bags: Bags
    functions: NDArray[np.uint8]
    """1 for units that are functions or methods, 0 for classes and modules"""
    names: tuple[str, ...]
    """module and qualified name, dotted"""
    lexicons: dict[Kind, Lexicon]


def census(package: Package, folder: Path) -> Census:
    """Count a package, or take the count from the folder if the code that counts is still the same."""
    kept = folder / f"{package.name}-{package.version}-{counting()}.npz"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _save(_count(package), kept)
    return _load(kept)


def counting() -> str:
    """Digest of the code and data that decide what is counted: a change there makes old counts void."""
    root = Path(__file__).parents[1]
    digest = blake2b(digest_size=6)
    for place in (
        "unit",
        "fingerprint",
        "evidence/vocabulary.py",
        "evidence/readers",
        "background/census.py",
    ):
        path = root / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    from detector.resources import grammar  # noqa: PLC0415

    for name in ("locals.scm", "roles.toml", "apis.toml", "signatures.toml"):
        digest.update(grammar("python", name).encode())
    return digest.hexdigest()


def _count(package: Package) -> Census:
    units, files, skipped = _fingerprints(package)
    terms = [np.setdiff1d(unit.terms, np.zeros(1, np.int64)).view(np.uint64) for unit in units]
    starts = np.concatenate(([0], np.cumsum([len(bag) for bag in terms], dtype=np.int64)))
    return Census(
        name=package.name,
        version=package.version,
        licence=package.licence,
        files=files,
        skipped=skipped,
        bags=Bags(np.concatenate([*terms, np.zeros(0, np.uint64)]), starts),
        functions=np.array([unit.unit.kind in ("function", "method") for unit in units], np.uint8),
        names=tuple(_dotted(unit.unit.path, unit.unit.name, unit.unit.kind) for unit in units),
        lexicons=read_lexicons(package),
    )


def _fingerprints(package: Package) -> tuple[list[Fingerprint], int, int]:
    """Units of all files that can be read; one that cannot is passed over and counted."""
    from detector.fingerprint.fingerprint import declare, fingerprints  # noqa: PLC0415
    from detector.unit.source import read_source  # noqa: PLC0415

    files: list[Declared] = []
    skipped = 0
    for path, content in package.read((".py",)):
        declared = declare(read_source(path, content), seconds=_SECONDS)
        if declared is None:
            skipped += 1
        else:
            files.append(declared)
    world = _world(files)
    units: list[Fingerprint] = []
    for file in files:
        units += fingerprints(file, world)
    return units, len(files), skipped


def _world(files: list[Declared]) -> World:
    from detector.fingerprint.fingerprint import World, helpers_of  # noqa: PLC0415
    from detector.fingerprint.module import Roots  # noqa: PLC0415

    roots = Roots.of(file.syntax.source.path for file in files)
    own = frozenset[str]().union(*(file.found.own for file in files))
    return World(own, roots, helpers_of(files, roots))


def _dotted(path: str, name: str, kind: str) -> str:
    parts = path.removesuffix(".py").removesuffix("/__init__").split("/")
    module = ".".join(parts[1:] if parts[0] in ("src", "lib", "python") else parts)
    return module if kind == "module" else f"{module}.{name}"


def _save(counted: Census, path: Path) -> None:
    about = {key: getattr(counted, key) for key in ("name", "version", "licence", "files", "skipped")}
    places = {kind: lexicon.places for kind, lexicon in counted.lexicons.items()}
    arrays: dict[str, Any] = {
        "about": _packed(json.dumps(about | {"places": places})),
        "names": _packed("\n".join(counted.names)),
        "functions": counted.functions,
        "terms": counted.bags.terms,
        "starts": counted.bags.starts,
    }
    for kind, lexicon in counted.lexicons.items():
        arrays |= {f"{kind}.hashes": lexicon.hashes, f"{kind}.counts": lexicon.counts}
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **arrays)
    partial.replace(path)


def _load(path: Path) -> Census:
    with np.load(path, allow_pickle=False) as arrays:
        about = json.loads(arrays["about"].tobytes())
        places = about.pop("places")
        names = arrays["names"].tobytes().decode()
        return Census(
            **about,
            bags=Bags(arrays["terms"], arrays["starts"]),
            functions=arrays["functions"],
            names=tuple(names.split("\n")) if names else (),
            lexicons={
                kind: Lexicon(arrays[f"{kind}.hashes"], arrays[f"{kind}.counts"], places[kind])
                for kind in KINDS
            },
        )


def _packed(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
