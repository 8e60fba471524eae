"""A repository at one commit, as data: paths, blob ids, bytes on demand, history on demand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

KEPT_BYTES = 32 * 2**20
"""bytes of one snapshot's blobs that are kept once read"""
KEPT_BLOB = 2**22
"""bytes of the largest blob that is kept: notebooks are large, and several classes read them"""


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning that the report shows: something was left out, and why.

    `where` is a path, a source or an option; `side` is "a", "b" or "" for both.
    """

    message: str
    where: str = ""
    side: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """One entry of a tree: POSIX path, git blob id (40 or 64 hex digits), size in bytes.

    `size` is None where the object itself is not at hand (a partial clone, a mirror
    without its large objects); the id still counts as evidence.
    """

    path: str
    blob: str
    size: int | None


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is read from one repository; each is an option of the command line."""

    seconds: float = 300.0
    """time for fetching and reading one source"""
    total_bytes: int = 512 * 2**20
    """bytes of blobs read from one source"""
    files: int = 50_000
    """entries of the tree that are looked at"""
    file_bytes: int = 4 * 2**20
    """a larger file is left out of parsing (its blob id still counts)"""
    parse_seconds: float = 5.0
    """tree-sitter's time for one file"""


class Store(Protocol):
    """Where a snapshot's bytes come from."""

    def read(self, files: Iterable[File]) -> Mapping[str, bytes]:
        """Return blob id -> bytes for those that are at hand; missing ones are absent."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A source at a revision. Files are sorted by path; nothing is read before `read`."""

    source: str
    """as the user gave it"""
    label: str
    """a short name for headings, for example `org/name`"""
    commit: str | None
    """full commit id; None for a plain folder or a package"""
    committed_at: str | None
    """ISO 8601 in UTC; None where there is no commit"""
    files: tuple[File, ...]
    store: Store = field(repr=False, compare=False)
    git_dir: Path | None = None
    """where history can be read with git; None where there is none"""
    web: str | None = None
    """a format string with {commit}, {path}, {start}, {end} for permanent links, where known"""
    notices: tuple[Notice, ...] = ()
    limits: Limits = Limits()
    kept: dict[str, bytes] = field(default_factory=dict, repr=False, compare=False)
    """small blobs read before, by id: most evidence classes read the same files"""

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Bytes by path, in one batch; unknown paths and missing blobs are absent."""
        wanted = set(paths)
        files = [file for file in self.files if file.path in wanted]
        blobs = {file.blob: self.kept[file.blob] for file in files if file.blob in self.kept}
        rest = [file for file in files if file.blob not in blobs]
        if rest:
            blobs |= self._keep(self.store.read(rest))
        return {file.path: blobs[file.blob] for file in files if file.blob in blobs}

    def _keep(self, blobs: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Keep small blobs while there is room; large ones are read again by the few that want them."""
        room = KEPT_BYTES - sum(map(len, self.kept.values()))
        for blob, data in blobs.items():
            if len(data) <= KEPT_BLOB and len(data) <= room:
                self.kept[blob] = data
                room -= len(data)
        return blobs
