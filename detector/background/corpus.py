"""The packages that a background is counted from: a list, and their sources as compact archives of text.

A package is downloaded once (wheel or sdist; nothing of it runs), and what can be counted is kept under
the user's cache folder, so that a build that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path

from detector.errors import UncribError
from detector.snapshot.model import Limits, Snapshot

SETTINGS = (".json", ".yaml", ".yml", ".toml")
"""suffixes of files that hold settings"""
LARGEST = 2**18
"""bytes of the largest file that is kept; larger ones are generated"""
_KEPT = (".py", *SETTINGS)
_LIMITS = Limits(seconds=3600.0, total_bytes=4 * 2**30, files=200_000)
"""a framework's wheel holds a gigabyte of compiled code beside its Python"""
_METADATA = re.compile(r"^[^/]+/(METADATA|PKG-INFO)$")
_LINE = re.compile(r"^(?P<requirement>[A-Za-z0-9][\w.-]*(==[\w.!+-]+)?)(\s+(?P<label>[a-z]+))?$")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A line of a list: `name` or `name==version`, and a word about it or nothing."""

    requirement: str
    label: str = ""

    @property
    def name(self) -> str:
        """The name without the version."""
        return self.requirement.partition("==")[0]


@dataclass(frozen=True, slots=True)
class Package:
    """One source of the background: what its metadata says, and where its text is kept."""

    name: str
    version: str
    licence: str
    archive: Path

    def read(self, suffixes: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
        """Paths and bytes of its files with these suffixes, in order of path."""
        with zipfile.ZipFile(self.archive) as archive:
            for item in sorted(archive.infolist(), key=lambda item: item.filename):
                if item.filename.endswith(suffixes) and item.file_size <= LARGEST:
                    yield item.filename, archive.read(item)


def read_list(path: Path) -> tuple[Wanted, ...]:
    """The packages of a list: `name==version` or `name` on each line, and perhaps a word behind it.

    `#` begins a comment. Raises UncribError if the list cannot be read, is empty, or holds something else.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UncribError(
            f"the list of packages {path} cannot be read ({error}); name a text file"
        ) from error
    wanted: dict[str, Wanted] = {}
    for line in filter(None, (line.partition("#")[0].strip() for line in lines)):
        found = _LINE.match(line)
        if not found:
            raise UncribError(
                f"{path}: {line!r} is not of the form name==version, with at most one word behind it;"
                " mend or remove the line"
            )
        wanted[found["requirement"]] = Wanted(found["requirement"], found["label"] or "")
    if not wanted:
        raise UncribError(f"the list of packages {path} is empty; name one package on each line")
    return tuple(wanted.values())


def obtain(requirement: str, folder: Path) -> Package:
    """The package, from the folder if it is there, else downloaded into it.

    Raises UncribError if the index has no such package or none of its archives can be read.
    """
    name, _, version = requirement.partition("==")
    known = folder / f"{requirement.replace('==', '-')}.zip"
    if not (version and known.exists()):
        known = _download(requirement, folder)
    try:
        with zipfile.ZipFile(known) as archive:
            about = json.loads(archive.comment)
            return Package(name, about["version"], about["licence"], known)
    except (OSError, zipfile.BadZipFile, ValueError, KeyError) as error:
        known.unlink(missing_ok=True)
        raise UncribError(
            f"the cached archive of {requirement} was damaged; run the command again"
        ) from error


def _download(requirement: str, folder: Path) -> Path:
    from detector.options import Options  # noqa: PLC0415
    from detector.snapshot import open_snapshot  # noqa: PLC0415

    snapshot = open_snapshot(f"pypi:{requirement}", Options(limits=_LIMITS))
    metadata, files = _texts(snapshot)
    if not any(path.endswith(".py") for path in files):
        raise UncribError(f"{requirement} holds no Python source; leave it out of the list")
    name, version, licence = _described(requirement, metadata)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{name}-{version}.zip.partial"
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
        archive.comment = json.dumps({"name": name, "version": version, "licence": licence}).encode()
    return partial.replace(partial.with_suffix(""))


def _texts(snapshot: Snapshot) -> tuple[bytes, dict[str, bytes]]:
    kept = [
        file.path
        for file in snapshot.files
        if (file.path.endswith(_KEPT) and (file.size or 0) <= LARGEST) or _METADATA.match(file.path)
    ]
    files = snapshot.read(kept)
    metadata = [path for path in files if _METADATA.match(path)]
    return (files[metadata[0]] if metadata else b""), {
        path: content for path, content in files.items() if path.endswith(_KEPT)
    }


def _described(requirement: str, metadata: bytes) -> tuple[str, str, str]:
    """Name, version and licence; the licence is the short form that the package gives itself."""
    name, _, version = requirement.partition("==")
    fields = BytesHeaderParser().parsebytes(metadata)
    classifiers = [str(text) for text in fields.get_all("Classifier", []) if str(text).startswith("License")]
    stated = [str(fields[key]).strip() for key in ("License-Expression", "License") if fields[key]]
    short = [text for text in stated if text and "\n" not in text and len(text) <= 80]
    licence = (short or [text.rpartition(" :: ")[2] for text in classifiers] or ["not stated"])[0]
    return name, version or str(fields["Version"] or "0"), licence
