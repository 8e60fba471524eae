"""The census of one package: the term set of each of its units, and its words, kept for the next build."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.background.corpus import Package
from detector.background.family import TermSets
from detector.background.lexicon import Lexicon, read_lexicons
from detector.background.rarity import KINDS, Kind
from detector.fingerprint.store import FINGERPRINT_CODE
from detector.resources import code_digest

_TESTS = frozenset({"test", "tests", "testing"})
"""folders that are passed over: tests are written in idioms of their own, and are not what is taken"""
_WORD_CODE = ("evidence/vocabulary.py", "evidence/readers", "background/lexicon.py")


@dataclass(frozen=True, slots=True)
class Units:
    """The units of a package. Unit i has the terms of set i and the name `names[i]`."""

    bags: TermSets
    names: tuple[str, ...]
    """module and qualified name, dotted"""
    functions: NDArray[np.uint8]
    """1 for units that are functions or methods, 0 for classes and modules"""
    files: int
    """Python files that could be read"""
    skipped: int
    """Python files that could not"""


@dataclass(frozen=True, slots=True)
class Census:
    """What was counted in one package."""

    package: Package
    units: Units
    lexicons: dict[Kind, Lexicon]


def census(package: Package, folder: Path) -> Census:
    """Count a package, or take the counts from the folder where the code that counts is still the same."""
    folder.mkdir(parents=True, exist_ok=True)
    digests = map(code_digest, (FINGERPRINT_CODE, _WORD_CODE))
    units, words = (folder / f"{package.archive.stem}-{digest}.npz" for digest in digests)
    if not units.exists():
        _save(units, _units_arrays(_count(package)))
    if not words.exists():
        _save(words, _lexicon_arrays(read_lexicons(package)))
    return Census(package, _load_units(units), _load_lexicons(words))


def _count(package: Package) -> Units:
    from detector.fingerprint.repository import fingerprint_files  # noqa: PLC0415

    contents = {
        path: content for path, content in package.read((".py",)) if not _TESTS.intersection(path.split("/"))
    }
    prints = fingerprint_files(contents)
    units = prints.fingerprints
    terms = [np.unique(unit.terms).view(np.uint64) for unit in units]
    starts = np.concatenate(([0], np.cumsum([len(bag) for bag in terms], dtype=np.int64)))
    return Units(
        bags=TermSets(np.concatenate([*terms, np.zeros(0, np.uint64)]), starts),
        names=tuple(_dotted(unit.unit.path, unit.unit.name, unit.unit.kind) for unit in units),
        functions=np.array([unit.unit.kind in ("function", "method") for unit in units], np.uint8),
        files=prints.files,
        skipped=len(contents) - prints.files,
    )


def _dotted(path: str, name: str, kind: str) -> str:
    parts = path.removesuffix(".py").removesuffix("/__init__").split("/")
    module = ".".join(parts[1:] if parts[0] in ("src", "lib", "python") else parts)
    return module if kind == "module" else f"{module}.{name}"


def _units_arrays(units: Units) -> dict[str, NDArray[Any]]:
    return {
        "terms": units.bags.terms,
        "starts": units.bags.starts,
        "names": np.frombuffer("\n".join(units.names).encode("utf-8", "replace"), np.uint8),
        "functions": units.functions,
        "files": np.array([units.files, units.skipped]),
    }


def _load_units(path: Path) -> Units:
    with np.load(path, allow_pickle=False) as arrays:
        names = arrays["names"].tobytes().decode()
        files, skipped = arrays["files"].tolist()
        return Units(
            bags=TermSets(arrays["terms"], arrays["starts"]),
            names=tuple(names.split("\n")) if names else (),
            functions=arrays["functions"],
            files=files,
            skipped=skipped,
        )


def _lexicon_arrays(lexicons: dict[Kind, Lexicon]) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for kind, lexicon in lexicons.items():
        arrays |= {f"{kind}.hashes": lexicon.hashes, f"{kind}.counts": lexicon.counts}
        arrays[f"{kind}.places"] = np.array([lexicon.places])
    return arrays


def _load_lexicons(path: Path) -> dict[Kind, Lexicon]:
    with np.load(path, allow_pickle=False) as arrays:
        return {
            kind: Lexicon(
                arrays[f"{kind}.hashes"], arrays[f"{kind}.counts"], int(arrays[f"{kind}.places"][0])
            )
            for kind in KINDS
        }


def _save(path: Path, arrays: dict[str, Any]) -> None:
    """Write a file whole or not at all."""
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **arrays)
    partial.replace(path)


def census_digest() -> str:
    """Digest of all code that counts, for the version of a background."""
    return code_digest(FINGERPRINT_CODE) + code_digest(_WORD_CODE)
