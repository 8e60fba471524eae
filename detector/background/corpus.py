"""The packages that a background is counted from: a list, and their sources as compact archives of text.

A package (wheel or sdist) or a repository of GitHub is fetched once; nothing of it runs. What can be counted
is kept under the user's cache folder, so that a build that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from hashlib import blake2b
from itertools import islice
from pathlib import Path

from detector.errors import UncribError
from detector.snapshot.model import Limits

SETTINGS = (".json", ".yaml", ".yml", ".toml")
"""suffixes of files that hold settings"""
LARGEST = 2**18
"""bytes of the largest file that is kept; larger ones are generated"""
_KEPT = (".py", *SETTINGS)
_LIMITS = Limits(seconds=3600.0, total_bytes=4 * 2**30, files=200_000)
"""a framework's wheel holds a gigabyte of compiled code beside its Python"""
_METADATA = re.compile(r"^[^/]+/(METADATA|PKG-INFO)$")
_LICENCE = re.compile(r"^(LICEN[CS]E|COPYING)(\.\w+)?$", re.IGNORECASE)
_PACKAGE = r"[A-Za-z0-9][\w.-]*(==[\w.!+-]+)?"
_REPOSITORY = r"[A-Za-z0-9][\w-]*/[\w.-]+@[\w.-]+(:[\w./,-]+)?"
_LINE = re.compile(rf"^(?P<requirement>{_PACKAGE}|{_REPOSITORY})(\s+(?P<label>[a-z]+))?$")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A line of a list: `name` or `name==version` of a package, or `owner/name@revision:paths` of a
    repository, of which only what is at or below these paths counts; and a word about it or nothing.
    """

    requirement: str
    label: str = ""

    @property
    def name(self) -> str:
        """The name without the version."""
        return _name(self.requirement)


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
    """The packages and repositories of a list, one on each line, and perhaps a word behind it.

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
                f"{path}: {line!r} is not of the form name==version or owner/name@revision:paths,"
                " with at most one word behind it; mend or remove the line"
            )
        wanted[found["requirement"]] = Wanted(found["requirement"], found["label"] or "")
    if not wanted:
        raise UncribError(f"the list of packages {path} is empty; name one package on each line")
    return tuple(wanted.values())


def obtain(requirement: str, folder: Path) -> Package:
    """The package, from the folder if it is there, else downloaded into it.

    Raises UncribError if the index has no such package or none of its archives can be read.
    """
    known = folder / f"{_stem(requirement)}.zip"
    if not (_is_pinned(requirement) and known.exists()):
        known = _download(requirement, folder)
    try:
        with zipfile.ZipFile(known) as archive:
            about = json.loads(archive.comment)
            return Package(about["name"], about["version"], about["licence"], known)
    except (OSError, zipfile.BadZipFile, ValueError, KeyError) as error:
        known.unlink(missing_ok=True)
        raise UncribError(
            f"the cached archive of {requirement} was damaged; run the command again"
        ) from error


def _download(requirement: str, folder: Path) -> Path:
    stated, files = _of_repository(requirement) if "@" in requirement else _of_index(requirement)
    if not any(path.endswith(".py") for path in files):
        raise UncribError(f"{requirement} holds no Python source; leave it out of the list")
    pinned = requirement if _is_pinned(requirement) else f"{stated['name']}=={stated['version']}"
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{_stem(pinned)}.zip.partial"
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
        archive.comment = json.dumps(stated).encode()
    return partial.replace(partial.with_suffix(""))


def _of_index(requirement: str) -> tuple[dict[str, str], dict[str, bytes]]:
    """A package: name, version and licence, and its files."""
    metadata, files = _texts(f"pypi:{requirement}", _METADATA)
    name, _, version = requirement.partition("==")
    fields = BytesHeaderParser().parsebytes(metadata)
    version = version or str(fields["Version"] or "0")
    return {"name": name, "version": version, "licence": _licence(fields)}, files


def _of_repository(requirement: str) -> tuple[dict[str, str], dict[str, bytes]]:
    """A repository: name, revision, and how its licence begins; its files at or below the paths."""
    source, _, paths = requirement.partition(":")
    text, files = _texts(source, _LICENCE, paths.split(","))
    name, _, revision = source.partition("@")
    lines = filter(None, map(str.strip, text.decode("utf-8", "replace").splitlines()))
    licence = " ".join(islice(lines, 2))[:80] or "not stated"
    return {"name": name, "version": revision, "licence": licence}, files


def _is_pinned(requirement: str) -> bool:
    return _name(requirement) != requirement


def _name(requirement: str) -> str:
    return re.split("==|@", requirement, maxsplit=1)[0]


def _stem(requirement: str) -> str:
    """A requirement as the name of a file; paths, of which there may be many, as a digest."""
    source, _, paths = requirement.replace("==", "-").partition(":")
    digest = blake2b(paths.encode(), digest_size=4).hexdigest() if paths else ""
    return "+".join(filter(None, (*re.split("[/@]", source), digest)))


def _texts(
    source: str, describing: re.Pattern[str], paths: Sequence[str] = ("",)
) -> tuple[bytes, dict[str, bytes]]:
    """What describes a source as a whole, and the files that are kept: those at or below one of the paths."""
    from detector.options import Options  # noqa: PLC0415
    from detector.snapshot import open_snapshot  # noqa: PLC0415

    snapshot = open_snapshot(source, Options(limits=_LIMITS))
    about = next((file.path for file in snapshot.files if describing.match(file.path)), None)
    kept = [
        file.path
        for file in snapshot.files
        if file.path.endswith(_KEPT)
        and (file.size or 0) <= LARGEST
        and any(not path or f"{file.path}/".startswith(f"{path.rstrip('/')}/") for path in paths)
    ]
    files = snapshot.read([*kept, about] if about else kept)
    return files.get(about or "", b""), {path: files[path] for path in kept if path in files}


def _licence(fields: Message) -> str:
    """The short form that a package gives itself, else how its text begins."""
    classifiers = [str(text) for text in fields.get_all("Classifier", []) if str(text).startswith("License")]
    stated = [str(fields[key] or "").strip() for key in ("License-Expression", "License")]
    texts = [text for text in stated if text not in ("", "UNKNOWN")]
    short = [text for text in texts if "\n" not in text and len(text) <= 80]
    named = [text.rpartition(" :: ")[2] for text in classifiers]
    return [*short, *named, *(text.splitlines()[0].strip()[:80] for text in texts), "not stated"][0]
