"""Fingerprints kept between runs: an audit reads one repository many times, an upstream is read in every run.

One file holds a repository at one state. Its name is the digest of all that decides the fingerprints: paths
and blob ids of the code, limits, this program, its grammar and Python. It consists of plain arrays and JSON:
nothing in it is executed when it is read. What cannot be kept, or was damaged, is computed again.
"""

from __future__ import annotations

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

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.errors import UncribError
from detector.fingerprint.fingerprint import Prints
from detector.fingerprint.packing import Arrays, packed, unpacked
from detector.resources import code_digest
from detector.snapshot.cache import cache_folder
from detector.snapshot.model import File, Limits, Notice

FINGERPRINT_CODE = ("unit", "fingerprint", "grammars/python")
"""places of the code and data that decide what a fingerprint is"""
_COMPILED = ("tree_sitter._binding", "tree_sitter_python._binding")
FEWEST_BYTES = 200_000
"""of code, below which computing is as quick as reading what was kept"""
MOST_BYTES = 2 * 2**30
"""of all that is kept: the files that were not used for longest go first"""
_UNUSABLE = (
    UncribError, OSError, EOFError, ValueError, LookupError, TypeError,
    zipfile.BadZipFile, msgspec.MsgspecError,
)  # fmt: skip
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
            found = _prints({key: arrays[key] for key in arrays.files})
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
                np.savez(stream, allow_pickle=False, **_arrays(prints))
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


def _arrays(prints: Prints) -> dict[str, NDArray[Any]]:
    notices = [(notice.message, notice.where) for notice in prints.notices]
    about = msgspec.json.encode((notices, prints.lines, prints.files))
    return {**packed(prints.fingerprints), "about": np.frombuffer(about, np.uint8)}


def _prints(arrays: Arrays) -> Prints:
    """The inverse of `_arrays`."""
    said, lines, files = msgspec.json.decode(arrays["about"].tobytes())
    notices = tuple(Notice(message, where) for message, where in said)
    return Prints(tuple(unpacked(arrays)), notices, lines, files)


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
