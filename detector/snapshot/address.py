"""What a user may write for A and B, taken apart: where it is, of what kind, at which revision.

A source is a git URL (https, http, ssh, git, file, or scp-like `user@host:path`), `owner/name` on GitHub,
`hf:org/name` on Hugging Face, `pypi:name==version`, or a local path; `@REV` may follow any of them.
A path that exists wins over every other reading. The grammar is described in docs/sources.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from detector.errors import UncribError

Kind = Literal["git", "pypi", "local"]
SCHEMES = ("https", "http", "ssh", "git", "file")

_FORMS = (
    "give a git URL, owner/name (GitHub), hf:org/name, pypi:name==version, or an existing folder, "
    "each with @REVISION if you like"
)
_GITHUB = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}")
_HUGGING_FACE = re.compile(r"(?:datasets/|spaces/)?[\w.-]{1,96}(?:/[\w.-]{1,96})?")
_PACKAGE = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:(?:==|@)(?P<version>[A-Za-z0-9.!+_-]+))?"
)
_SCP = re.compile(r"(?:[\w.+-]+@)?(?!-)[\w.-]{2,}:(?!//|:)(?P<path>.+)")
_PAGE = re.compile(
    r"(?P<repository>https?://(?:www\.)?(?:github\.com|huggingface\.co|hf\.co)/(?:datasets/|spaces/)?[^/]+/[^/]+)"
    r"/(?:tree|commit|commits|releases/tag)/(?P<revision>[^?#]+?)/*"
)


@dataclass(frozen=True, slots=True)
class Address:
    """A source taken apart. `location` is a URL, a path or a package name; `revision` may be a version."""

    kind: Kind
    location: str
    revision: str | None
    label: str
    shown: str
    """the source as it may be printed: without a password"""


def parse(source: str) -> Address:
    """Read a source. Raises UncribError with what is wrong and the forms that are possible."""
    source = source.strip()
    _refuse(source)
    local = _local(source)
    if local is not None:
        return local
    prefix, _, rest = source.partition(":")
    if prefix == "pypi":
        return _package(source, rest)
    if prefix == "hf":
        place, revision = _cut_revision(rest)
        if not _HUGGING_FACE.fullmatch(place):
            raise UncribError(f"{source} is no Hugging Face repository; write hf:org/name")
        return _git(f"https://huggingface.co/{place}", revision, source)
    if "://" in source:
        return _url(source)
    if match := _SCP.fullmatch(source):
        path, revision = _cut_revision(match["path"])
        return _git(source[: match.start("path")] + path, revision, source)
    place, revision = _cut_revision(source)
    if _GITHUB.fullmatch(place) and place.split("/")[1] not in (".", ".."):
        return _git(f"https://github.com/{place}", revision, source)
    raise UncribError(f"there is no folder {source} and it is no known kind of source; {_FORMS}")


def _refuse(source: str) -> None:
    if not source:
        raise UncribError(f"the source is empty; {_FORMS}")
    if source.startswith("-"):
        raise UncribError(f"the source {source!r} starts with a dash; {_FORMS}")
    if any(ord(character) < 32 or ord(character) == 127 for character in source):
        raise UncribError(f"the source {source!r} holds control characters; {_FORMS}")
    if re.match(r"[\w+.-]+::", source):
        raise UncribError(
            f"{source} names a git remote helper, which is never run; use https, ssh, git or file"
        )


def _local(source: str) -> Address | None:
    """The longest part of the source that is an existing path, the rest after an @ being the revision."""
    end = len(source)
    while end > 0:
        path = _path(source[:end])
        if path is not None:
            revision = source[end + 1 :] or None
            if source[end:] == "@":
                raise UncribError(f"{source} ends with an @ but names no revision; add one or drop the @")
            _check_revision(revision, source)
            return Address("local", str(path), revision, _folder_label(path), source)
        end = source.rfind("@", 0, end)
    return None


def _path(text: str) -> Path | None:
    """The existing path of this name, if there is one; ~ is the home folder."""
    try:
        path = Path(text).expanduser()
        return path if path.exists() else None
    except (OSError, ValueError, RuntimeError):  # a name too long for the file system, an unknown ~user
        return None


_NAMELESS = frozenset({"repo", "repository", "source", "src", "code", "main", "master"})
"""folder names that tell two checkouts apart no better than none"""


def _folder_label(path: Path) -> str:
    resolved = path.resolve()
    folder = resolved.parent if resolved.name == ".git" else resolved
    name = folder.name.removesuffix(".git")
    if name in _NAMELESS and folder.parent.name:
        return f"{folder.parent.name}/{name}"
    return name or str(folder)


def _package(source: str, rest: str) -> Address:
    match = _PACKAGE.fullmatch(rest)
    if match is None:
        raise UncribError(f"{source} is no package; write pypi:name==version")
    version = match["version"]
    label = f"{match['name']} {version}" if version else match["name"]
    return Address("pypi", match["name"], version, label, source)


def _url(source: str) -> Address:
    if page := _PAGE.fullmatch(source):
        return _git(page["repository"], unquote(page["revision"]), source)
    scheme, _, rest = source.partition("://")
    if scheme.lower() not in SCHEMES:
        raise UncribError(f"{source} uses {scheme}://, which is not supported; use https, ssh, git or file")
    host, slash, path = rest.partition("/")
    if scheme.lower() == "file":
        return _file_url(source, slash + path if not host else rest)
    path, revision = _cut_revision(path)
    if not host or host.rpartition("@")[2].startswith("-") or not path.strip("/"):
        raise UncribError(f"{_without_password(source)} names no repository on a host; {_FORMS}")
    return _git(f"{scheme.lower()}://{host}/{path}", revision, source)


def _file_url(source: str, rest: str) -> Address:
    """A file URL's path may itself hold an @: what exists on disk decides where it ends."""
    end = len(rest)
    while end > 0:
        if _path(unquote(rest[:end])) is not None:
            return _git(f"file://{rest[:end]}", rest[end + 1 :] or None, source)
        end = rest.rfind("@", 0, end)
    raise UncribError(f"there is no repository at file://{_cut_revision(rest)[0]}; check the path")


def _cut_revision(text: str) -> tuple[str, str | None]:
    """Split at the first @ that ends a path segment's name; one that begins a segment is part of the path."""
    match = re.search(r"(?<=[^/@])@(.*)", text)
    if match is None:
        return text, None
    return text[: match.start()], match[1]


def _git(url: str, revision: str | None, source: str) -> Address:
    _check_revision(revision, _without_password(source))
    url = url.rstrip("/")
    path = urlsplit(url).path if "://" in url else url.partition(":")[2]
    names = [name for name in unquote(path).split("/") if name]
    label = "/".join(names[-1:] if url.startswith("file:") else names[-2:]).removesuffix(".git")
    return Address("git", url, revision, label, _without_password(source))


def _check_revision(revision: str | None, source: str) -> None:
    if revision is None:
        return
    if not revision:
        raise UncribError(f"{source} ends with an @ but names no revision; add one or drop the @")
    if revision.startswith("-") or re.search(r"\s", revision):
        raise UncribError(f"{revision!r} cannot be a revision; give a branch, tag, commit or date")


def _without_password(source: str) -> str:
    """The source with the secret part of `user:secret@host` replaced, since reports are handed on."""
    return re.sub(r"^(https?://)[^/@]*@", r"\1***@", re.sub(r"^(\w+://[^/:@]*):[^/@]*@", r"\1:***@", source))
