"""Wheels and source archives, read member by member in memory; nothing is ever unpacked onto disk."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, cast

from detector.errors import UncribError
from detector.snapshot.bounds import listed
from detector.snapshot.deadline import Deadline
from detector.snapshot.folder import blob_id, stand_in_id
from detector.snapshot.model import File, Limits, Notice
from detector.snapshot.objects import text

_CHUNK = 2**16
_OVERHEAD = 2
"""headers and padding of a tar archive may double what its files take"""
_DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error,
    EOFError, OSError, ValueError, RuntimeError, NotImplementedError, OverflowError,
)  # fmt: skip
_OPENERS: dict[str, Callable[[Path], IO[bytes]]] = {
    ".gz": cast("Callable[[Path], IO[bytes]]", gzip.GzipFile),
    ".tgz": cast("Callable[[Path], IO[bytes]]", gzip.GzipFile),
    ".bz2": cast("Callable[[Path], IO[bytes]]", bz2.BZ2File),
    ".xz": cast("Callable[[Path], IO[bytes]]", lzma.LZMAFile),
    ".tar": cast("Callable[[Path], IO[bytes]]", io.FileIO),
}


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file of an archive: its name there, the size it claims, and a way to open it once."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True, slots=True)
class ArchiveStore:
    """Reads a snapshot's files out of an archive; `names` are the members' names by path."""

    archive: Path
    names: Mapping[str, str]
    limits: Limits
    withheld: frozenset[str] = frozenset()

    def read(self, files: Iterable[File]) -> Mapping[str, bytes]:
        """Blob id -> bytes, in one pass through the archive; damaged members are absent."""
        wanted = {self.names[file.path]: file for file in files if file.blob not in self.withheld}
        found: dict[str, bytes] = {}
        deadline = Deadline.after(self.limits.seconds)
        with suppress(*_DAMAGED):  # told when the archive was listed
            for member in _members(self.archive, self.limits, deadline) if wanted else ():
                file = wanted.get(member.name)
                if file is not None and member.size == file.size:
                    with suppress(*_DAMAGED), member.open() as stream:
                        found[file.blob] = b"".join(_chunks(stream, member))
        return found


def read_archive(
    archive: Path, limits: Limits, deadline: Deadline
) -> tuple[list[File], dict[str, str], list[Notice]]:
    """Files of an archive by path, the members' names by path, and what was left out.

    The one folder in which a source archive holds everything is not part of the paths. Raises UncribError
    if nothing can be read.
    """
    found: dict[str, File] = {}
    refused: list[str] = []
    damaged: list[str] = []
    notices: list[Notice] = []
    left = limits.total_bytes
    try:
        for member in _members(archive, limits, deadline):
            if len(found) == limits.files:
                notices.append(Notice(f"only the first {limits.files:,} files were looked at: limit files"))
                break
            if _escapes(member.name):
                refused.append(member.name)
                continue
            try:
                found[member.name] = _identified(archive, member, left)
            except _DAMAGED:
                damaged.append(member.name)
            left -= member.size if member.size <= left else 0
    except _DAMAGED as error:
        if not found:
            raise UncribError(f"{archive.name} is damaged ({error}); choose another version") from error
        notices.append(Notice(f"damaged or beyond a limit, read in part: {error}", archive.name))
    if damaged:
        notices.append(Notice(f"damaged, left out: {listed(damaged)}", archive.name))
    if refused:
        notices.append(
            Notice(f"{len(refused)} members with paths out of the archive were left out", archive.name)
        )
    prefix = _common_folder(found) if archive.suffix != ".whl" else ""
    names = {text(name[len(prefix) :].encode("utf-8", "surrogateescape")): name for name in found}
    files = [File(path, found[name].blob, found[name].size) for path, name in sorted(names.items())]
    return files, names, notices


def _identified(archive: Path, member: Member, left: int) -> File:
    if member.size > left:
        return File(member.name, stand_in_id(f"{archive}/{member.name}"), member.size)
    with member.open() as stream:
        return File(member.name, blob_id(member.size, _chunks(stream, member)), member.size)


def _chunks(stream: IO[bytes], member: Member) -> Iterator[bytes]:
    """The member's bytes; raises EOFError if there are fewer than it claims."""
    left = member.size
    while chunk := stream.read(min(left, _CHUNK)):
        left -= len(chunk)
        yield chunk
    if left:
        raise EOFError(f"{member.name} ends early")


def _escapes(name: str) -> bool:
    return name.startswith(("/", "\\")) or ".." in PurePosixPath(name).parts or "\0" in name


def _common_folder(names: Iterable[str]) -> str:
    heads = {name.partition("/")[0] if "/" in name else "" for name in names}
    head = heads.pop() if len(heads) == 1 else ""
    return f"{head}/" if head else ""


def _members(archive: Path, limits: Limits, deadline: Deadline) -> Iterator[Member]:
    members = _zip_members(archive) if archive.suffix in (".whl", ".zip") else _tar_members(archive, limits)
    with closing(members):
        for member in members:
            if deadline.passed():
                raise deadline.error(archive.name)
            yield member


def _zip_members(archive: Path) -> Generator[Member, None, None]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            kind = info.external_attr >> 28  # the upper bits of a Unix mode: 8 is a regular file
            if not info.is_dir() and kind in (0, 8):
                yield Member(info.filename, info.file_size, partial(opened.open, info))


def _tar_members(archive: Path, limits: Limits) -> Generator[Member, None, None]:
    opener = _OPENERS.get(archive.suffix)
    if opener is None:
        raise UncribError(f"{archive.name} is no wheel, zip or tar archive; choose another version")
    with opener(archive) as raw:
        bounded = io.BufferedReader(_Bounded(raw, _OVERHEAD * limits.total_bytes), _CHUNK)
        with tarfile.open(fileobj=bounded, mode="r|", encoding="utf-8", errors="backslashreplace") as opened:
            for info in opened:
                if info.isreg():
                    yield Member(info.name, info.size, partial(_extracted, opened, info))


def _extracted(opened: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    stream = opened.extractfile(info)
    if stream is None:
        raise tarfile.TarError(f"{info.name} is no regular file")
    return stream


class _Bounded(io.RawIOBase):
    """Passes on a decompressed stream and stops at `most` bytes, however little it was compressed from."""

    def __init__(self, raw: IO[bytes], most: int) -> None:
        super().__init__()
        self._raw = raw
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._raw.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise OSError("its content is larger than the limit total_bytes allows")
        buffer[: len(data)] = data
        return len(data)
