"""Reading git objects by id, whatever a repository's own configuration says.

A repository's configuration may name programs to run (gpg, ssh, file-system monitors) and a remote from
which git would fetch a missing object one by one. So objects are read through an empty repository of our
own that borrows only the object folder: nothing of the other's configuration is in force, a missing object
is simply missing, and no version of git goes to the network for it.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from detector.snapshot import git
from detector.snapshot.deadline import Deadline
from detector.snapshot.model import File

TREE_BYTES = 64 * 2**20
"""a listing longer than this is cut: trees can be nested so that they describe more than any disk holds"""
_CHUNK = 2**16


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of a tree: mode in octal digits, type, id, size where the object is at hand, raw path."""

    mode: str
    kind: str
    id: str
    size: int | None
    path: str

    def file(self) -> File:
        """The entry as a file of a snapshot."""
        return File(self.path, self.id, self.size)


@dataclass(frozen=True, slots=True)
class Objects:
    """An object folder. `format` is "sha1" or "sha256"; `shallow` lists commits whose parents are cut off."""

    folder: Path
    shallow: Path
    format: str = "sha1"
    source: str = ""

    def stream(
        self, arguments: Sequence[str], deadline: Deadline, given: bytes = b""
    ) -> AbstractContextManager[IO[bytes]]:
        """Run a git command on these objects; see `git.stream`."""
        return git.stream(arguments, self.source, deadline, self._environment(), given=given)

    def run(self, arguments: Sequence[str], deadline: Deadline, given: bytes = b"") -> bytes:
        """Run a git command on these objects to its end."""
        return git.run(arguments, self.source, deadline, self._environment(), given=given)

    def _environment(self) -> dict[str, str]:
        variables = {"GIT_DIR": _empty_repository(self.format), "GIT_OBJECT_DIRECTORY": str(self.folder)}
        if self.shallow.is_file():
            variables["GIT_SHALLOW_FILE"] = str(self.shallow)
        return git.reading(**variables)

    def tree(self, commit: str, most: int, deadline: Deadline) -> tuple[list[Entry], bool]:
        """Entries of a commit's whole tree in git's order, and whether the listing was cut after `most`."""
        entries: list[Entry] = []
        with self.stream(["ls-tree", "-r", "-l", "-z", "--full-tree", commit], deadline) as output:
            for record in _records(output):
                if len(entries) == most or record is None:
                    return entries, True
                head, _, path = record.partition(b"\t")
                mode, kind, id, size = head.decode("ascii").split()
                entries.append(Entry(mode, kind, id, int(size) if size.isdigit() else None, text(path)))
        return entries, False

    def sizes(self, ids: Iterable[str], deadline: Deadline) -> dict[str, int]:
        """Size in bytes of each object that is at hand."""
        given = "".join(f"{id}\n" for id in ids).encode()
        lines = (
            self.run(["cat-file", "--batch-check", "--buffer"], deadline, given).decode("ascii").splitlines()
        )
        parts = [line.split() for line in lines]
        return {part[0]: int(part[2]) for part in parts if len(part) == 3}

    def blobs(
        self, ids: Iterable[str], deadline: Deadline, may_read: Callable[[int], bool]
    ) -> dict[str, bytes]:
        """Bytes of each blob that is at hand and whose size `may_read` allows."""
        given = "".join(f"{id}\n" for id in dict.fromkeys(ids)).encode()
        found: dict[str, bytes] = {}
        if not given:
            return found
        with self.stream(["cat-file", "--batch", "--buffer"], deadline, given) as output:
            for line in iter(output.readline, b""):
                part = line.split()
                if len(part) != 3 or not part[2].isdigit():
                    continue  # "ID missing"
                size = int(part[2])
                if part[1] == b"blob" and may_read(size):
                    data = output.read(size)
                    if len(data) == size:
                        found[part[0].decode("ascii")] = data
                else:
                    _skip(output, size)
                output.read(1)
        return found


def text(raw: bytes) -> str:
    """A name as valid Unicode; bytes that are no UTF-8 show as \\xNN."""
    return raw.decode("utf-8", "backslashreplace")


def _skip(output: IO[bytes], size: int) -> None:
    while size > 0 and (chunk := output.read(min(size, _CHUNK))):
        size -= len(chunk)


def _records(output: IO[bytes]) -> Iterator[bytes | None]:
    """Records between NULs; None once there is too much of them, or of one."""
    rest = b""
    total = 0
    while chunk := output.read(_CHUNK):
        total += len(chunk)
        *records, rest = (rest + chunk).split(b"\0")
        yield from records
        if total > TREE_BYTES or len(rest) > _CHUNK:
            yield None


def _empty_repository(format: str) -> str:
    """Path of an empty repository, made at the first call and kept until the interpreter ends."""
    with _MAKING:
        if format not in _MADE:
            _MADE[format] = folder = tempfile.TemporaryDirectory(prefix="uncrib-")
            path = Path(folder.name)
            (path / "refs").mkdir()
            (path / "HEAD").write_text("ref: refs/heads/none\n")
            version = 0 if format == "sha1" else 1
            extension = f"[extensions]\n\tobjectformat = {format}\n" if version else ""
            (path / "config").write_text(
                f"[core]\n\trepositoryformatversion = {version}\n\tbare = true\n{extension}"
            )
        return _MADE[format].name


_MAKING = threading.Lock()
_MADE: dict[str, tempfile.TemporaryDirectory[str]] = {}
