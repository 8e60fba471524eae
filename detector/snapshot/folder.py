"""Files of a plain folder, or of a work tree as they are (`--dirty`), with blob ids as git computes them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from detector.errors import UncribError
from detector.snapshot import git
from detector.snapshot.bounds import listed, withhold
from detector.snapshot.deadline import Deadline
from detector.snapshot.model import File, Limits, Notice, Snapshot

if TYPE_CHECKING:
    from detector.snapshot.address import Address

_VERSION_CONTROL = frozenset({".git", ".hg", ".svn"})
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class FolderStore:
    """Reads a snapshot's files from disk; `places` says where the bytes of each path are."""

    places: Mapping[str, Path]
    withheld: frozenset[str] = frozenset()

    def read(self, files: Iterable[File]) -> Mapping[str, bytes]:
        """Blob id -> bytes; a file that has gone or grown since it was listed is absent."""
        found: dict[str, bytes] = {}
        for file in files:
            if file.blob in self.withheld or file.size is None:
                continue
            try:
                with self.places[file.path].open("rb") as stream:
                    data = stream.read(file.size + 1)
            except OSError:
                continue
            if len(data) == file.size:
                found[file.blob] = data
        return found

    def open(self, file: File) -> BinaryIO | None:
        """The file for reading in parts, whatever its size; None if it has gone. The caller closes it."""
        try:
            return self.places[file.path].open("rb")
        except OSError:
            return None


def open_folder(address: Address, git_dir: Path | None, limits: Limits) -> Snapshot:
    """Read a folder as it is; of a work tree (`git_dir` given) the tracked files and those not ignored."""
    root = Path(address.location).resolve()
    deadline = Deadline.after(limits.seconds)
    paths = _work_tree(root, git_dir, address.shown, deadline) if git_dir else _walk(root)
    places, notices = _regular(root, paths, limits.files)
    files, unread = _identify(places, limits, deadline)
    withheld, more = withhold(files, limits)
    if git_dir:
        notices.insert(0, Notice("the work tree's files were read as they are, not a commit", address.shown))
    return Snapshot(
        source=address.shown,
        label=f"{address.label} (work tree)" if git_dir else address.label,
        commit=None,
        committed_at=None,
        files=tuple(files),
        store=FolderStore(places, withheld),
        git_dir=git_dir,
        notices=(*notices, *unread, *more),
        limits=limits,
    )


def blob_id(size: int, chunks: Iterable[bytes]) -> str:
    """The id that git gives to a blob of these bytes in a SHA-1 repository."""
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def stand_in_id(what: str) -> str:
    """An id for bytes that were not looked at: the same for the same place, and equal to no real one."""
    return hashlib.sha1(b"not read\0" + what.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


def _work_tree(root: Path, git_dir: Path, source: str, deadline: Deadline) -> Iterator[Path]:
    environment = git.reading(GIT_DIR=str(git_dir), GIT_WORK_TREE=str(root))
    arguments = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "--full-name",
        "--",
        str(root),
    ]
    said = git.run(arguments, source, deadline, environment)
    for name in dict.fromkeys(said.split(b"\0")):
        if name:
            yield root / os.fsdecode(name)


def _walk(root: Path) -> Iterator[Path]:
    """Every file below, in a fixed order; links are not followed, so there are no loops."""
    try:
        next(os.scandir(root), None)
    except OSError as error:
        raise UncribError(
            f"the folder {root} cannot be read ({error.strerror}); check its permissions"
        ) from error
    for folder, folders, names in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if name not in _VERSION_CONTROL)
        linked = [name for name in folders if (Path(folder) / name).is_symlink()]
        yield from (Path(folder) / name for name in sorted([*names, *linked]))


def _regular(root: Path, paths: Iterable[Path], most: int) -> tuple[dict[str, Path], list[Notice]]:
    """Regular files by their POSIX path below `root`; links count only in a hub cache."""
    bounds = _hub_cache(root)
    places: dict[str, Path] = {}
    outside: list[str] = []
    notices: list[Notice] = []
    for path in paths:
        name = os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "backslashreplace")
        if path.is_symlink() and not (bounds and path.resolve().is_relative_to(bounds)):
            outside.append(name)
        elif len(places) == most:
            notices.append(
                Notice(f"only the first {most:,} files were looked at: limit files={most:,}", name)
            )
            break
        elif path.is_file():
            places[name] = path
    if outside:
        notices.append(Notice(f"symbolic links are not followed: {listed(outside)}", outside[0]))
    return dict(sorted(places.items())), notices


def _hub_cache(root: Path) -> Path | None:
    """The folder of a model in Hugging Face's local cache, whose snapshots consist of links into it."""
    model = root.parent.parent
    known = root.parent.name == "snapshots" and model.name.startswith(("models--", "datasets--", "spaces--"))
    return model if known else None


def _identify(
    places: Mapping[str, Path], limits: Limits, deadline: Deadline
) -> tuple[list[File], list[Notice]]:
    """Compute blob ids, small files first, until `total_bytes` are read; the others get a stand-in."""
    files: list[File] = []
    unread: list[str] = []
    spent = 0
    for name, path, size in _by_size(places):
        blob = None
        if spent + size <= limits.total_bytes and not deadline.passed():
            blob = _file_id(path, size)
            spent += size
        if blob is None:
            unread.append(name)
        files.append(File(name, blob or stand_in_id(str(path)), size))
    files.sort(key=lambda file: file.path)
    if not unread:
        return files, []
    bound = f"total_bytes={limits.total_bytes:,} or seconds={limits.seconds:g}"
    return files, [Notice(f"no blob id, unreadable or beyond the limit {bound}: {listed(unread)}", unread[0])]


def _by_size(places: Mapping[str, Path]) -> list[tuple[str, Path, int]]:
    sized: list[tuple[str, Path, int]] = []
    for name, path in places.items():
        try:
            sized.append((name, path, path.stat().st_size))
        except OSError:  # gone since it was listed
            continue
    return sorted(sized, key=lambda item: item[2])


def _file_id(path: Path, size: int) -> str | None:
    try:
        with path.open("rb") as stream:
            return blob_id(size, iter(lambda: stream.read(_CHUNK), b""))
    except OSError:
        return None
