"""Fingerprints kept between runs: an audit reads one repository many times, an upstream is read in every run.

One file holds a repository at one state. Its name is the digest of all that decides the fingerprints: paths
and blob ids of the code, limits, this program, its grammar and Python. It consists of plain arrays and JSON:
nothing in it is executed when it is read. What cannot be kept, or was damaged, is computed again.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import zipfile
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import UncribError
from detector.fingerprint.fingerprint import Fingerprint, Prints
from detector.resources import code_digest
from detector.snapshot.cache import cache_folder
from detector.snapshot.model import File, Limits, Notice
from detector.unit.unit import Unit

FINGERPRINT_CODE = ("unit", "fingerprint", "grammars/python")
"""places of the code and data that decide what a fingerprint is"""
_COMPILED = ("tree_sitter._binding", "tree_sitter_python._binding")
FEWEST_BYTES = 200_000
"""of code, below which computing is as quick as reading what was kept"""
MOST_BYTES = 2 * 2**30
"""of all that is kept: the files that were not used for longest go first"""
_ROWS = ("places", "statements", "nodes")
_UNUSABLE = (UncribError, OSError, EOFError, ValueError, LookupError, TypeError, zipfile.BadZipFile)
_log = logging.getLogger(__name__)


def state(code: Iterable[File], limits: Limits) -> str:
    """The name of a repository's state: equal names have equal fingerprints."""
    digest = blake2b(_program().encode(), digest_size=20)
    digest.update(repr((limits.file_bytes, limits.parse_seconds)).encode())
    for file in code:
        digest.update(repr((file.path, file.blob, file.size)).encode())
    return digest.hexdigest()


def kept(name: str) -> Prints | None:
    """What was kept under this name; None where there is nothing, or nothing that can be read."""
    try:
        path = cache_folder("fingerprints") / f"{name}.npz"
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as arrays:
            found = _unpacked({key: arrays[key] for key in arrays.files})
        os.utime(path)
    except _UNUSABLE as error:
        _log.info("kept fingerprints cannot be used: %s", error)
        return None
    return found


def keep(name: str, prints: Prints) -> None:
    """Keep a repository's fingerprints, whole or not at all."""
    try:
        folder = cache_folder("fingerprints")
        partial = folder / f"{name}.{os.getpid()}.partial"
        try:
            with partial.open("wb") as stream:
                np.savez(stream, allow_pickle=False, **_packed(prints))
            partial.replace(folder / f"{name}.npz")
        finally:
            partial.unlink(missing_ok=True)
        _prune(folder)
    except (UncribError, OSError) as error:
        _log.info("fingerprints are not kept: %s", error)


@lru_cache(maxsize=1)
def _program() -> str:
    return repr((code_digest(FINGERPRINT_CODE), *map(_build, _COMPILED), sys.version_info[:2]))


def _build(library: str) -> tuple[int, int]:
    """Which build of a compiled library this is; to ask for its version would take longer than to parse."""
    binding = import_module(library)
    found = Path(str(binding.__file__)).stat()
    return found.st_size, found.st_mtime_ns


def _packed(prints: Prints) -> dict[str, NDArray[Any]]:
    """The arrays of all units one after the other, where each ends, and the rest as JSON."""
    units = prints.fingerprints
    rest = {
        "units": [_row(each) for each in units],
        "notices": [(notice.message, notice.where) for notice in prints.notices],
        "lines": prints.lines,
        "files": prints.files,
    }
    arrays = {key: np.concatenate([getattr(each, key) for each in units]) for key in ("terms", *_ROWS)}
    ends = np.cumsum([[len(getattr(each, key)) for key in _ROWS] for each in units], axis=0)
    return {**arrays, "ends": ends, "rest": np.frombuffer(json.dumps(rest).encode(), np.uint8)}


def _row(each: Fingerprint) -> list[Any]:
    unit = each.unit
    place = (unit.path, unit.name, unit.kind, unit.start_line, unit.end_line, unit.blob, unit.parameters)
    return [place, each.names, each.calls, each.bases, each.skipped]


def _unpacked(arrays: dict[str, NDArray[Any]]) -> Prints:
    """The inverse of `_packed`."""
    rest = json.loads(arrays["rest"].tobytes())
    units = []
    starts = [0] * len(_ROWS)
    for row, ends in zip(rest["units"], arrays["ends"].tolist(), strict=True):
        (path, unit, kind, first, last, blob, parameters), names, calls, bases, skipped = row
        rows, statements, nodes = (slice(*span) for span in zip(starts, ends, strict=True))
        units.append(
            Fingerprint(
                Unit(path, unit, kind, first, last, blob, tuple(parameters)),
                arrays["terms"][rows],
                arrays["places"][rows],
                arrays["statements"][statements],
                tuple(names),
                arrays["nodes"][nodes],
                tuple(calls),
                tuple(bases),
                skipped,
            )
        )
        starts = ends
    notices = tuple(Notice(message, where) for message, where in rest["notices"])
    return Prints(tuple(units), notices, rest["lines"], rest["files"])


def _prune(folder: Path) -> None:
    """Remove what was not used for longest, until the rest is small enough."""
    found = sorted(
        ((path.stat().st_mtime, path.stat().st_size, path) for path in folder.glob("*.npz")), reverse=True
    )
    total = 0
    for _, size, path in found:
        total += size
        if total > MOST_BYTES:
            path.unlink(missing_ok=True)
