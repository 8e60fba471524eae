"""A package from the index that the user's pip is set up for: found, downloaded, and read as an archive.

pip itself would run a source archive's build to learn its name and version, so the file is found through
the index's pages (by `unearth`, the finder of the PDM package manager) and never built or installed.
"""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.errors import UncribError
from detector.snapshot.archive import ArchiveStore, read_archive
from detector.snapshot.bounds import withhold
from detector.snapshot.cache import cache_folder, locked
from detector.snapshot.deadline import Deadline
from detector.snapshot.model import Limits, Snapshot

if TYPE_CHECKING:
    from unearth import Package, PackageFinder

    from detector.snapshot.address import Address

_DEFAULT_INDEX = "https://pypi.org/simple/"
_HASHES = ("sha512", "sha384", "sha256")
_CHUNK = 2**16


def open_package(
    address: Address, limits: Limits, offline: bool, progress: Callable[[str, int, int], None]
) -> Snapshot:
    """Read a package's wheel, or its source archive where there is no wheel; without a version the newest.

    Raises UncribError if there is none such, or it cannot be fetched or read.
    """
    deadline = Deadline.after(limits.seconds)
    folder = cache_folder("packages")
    phase = f"fetch {address.label}"
    progress(phase, 0, 1)
    finder = _finder([], [str(folder)], {}) if offline else _configured_finder()
    package = _find(finder, address, offline)
    archive = folder / Path(package.link.filename).name
    if not offline:
        with locked(archive, address.shown, deadline):
            _download(finder, package, archive, limits, deadline)
    progress(phase, 1, 1)
    files, names, notices = read_archive(archive, limits, deadline)
    withheld, more = withhold(files, limits)
    return Snapshot(
        source=address.shown,
        label=f"{address.location} {package.version}",
        commit=None,
        committed_at=None,
        files=tuple(files),
        store=ArchiveStore(archive, names, limits, withheld),
        notices=(*notices, *more),
        limits=limits,
    )


def _find(finder: PackageFinder, address: Address, offline: bool) -> Package:
    from httpx2 import HTTPError, InvalidURL  # noqa: PLC0415
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415

    wanted = address.location + (f"=={address.revision}" if address.revision else "")
    try:
        # Without a version the newest release, or the newest of all where there are only pre-releases.
        choices = [None] if address.revision else [False, None]
        found = (finder.find_matches(Requirement(wanted), allow_prereleases=choice) for choice in choices)
        package = next(chain.from_iterable(found), None)
    except InvalidRequirement as error:
        raise UncribError(f"{address.shown} is no package and version; write pypi:name==version") from error
    except (HTTPError, InvalidURL, OSError, ValueError) as error:
        raise UncribError(
            f"the package index could not be read for {address.shown} ({error}); check network and pip config"
        ) from error
    if package is None:
        where = (
            "in the cache; run once without --offline" if offline else "in the index; check name and version"
        )
        raise UncribError(f"there is no package {wanted} {where}")
    return package


def _download(
    finder: PackageFinder, package: Package, archive: Path, limits: Limits, deadline: Deadline
) -> None:
    """Stream the file beside its place, check it against the index's digest, and move it there."""
    expected = {name: value for name, [value] in (package.link.hash_option or {}).items() if name in _HASHES}
    if archive.exists() and (not expected or _digest_matches(archive, expected)):
        return
    aside = archive.with_name(f"{archive.name}.partial")
    try:
        _stream(finder, package, aside, limits, deadline)
        if expected and not _digest_matches(aside, expected):
            raise UncribError(f"{archive.name} differs from the digest that its index gives; try again later")
        aside.replace(archive)
    finally:
        aside.unlink(missing_ok=True)


def _stream(finder: PackageFinder, package: Package, to: Path, limits: Limits, deadline: Deadline) -> None:
    from httpx2 import HTTPError  # noqa: PLC0415

    name = package.link.filename
    written = 0
    try:
        with finder.session.get_stream(package.link.normalized) as response, to.open("wb") as file:
            response.raise_for_status()
            for chunk in response.iter_bytes(_CHUNK):
                written += file.write(chunk)
                if written > limits.total_bytes:
                    raise UncribError(
                        f"{name} is larger than the limit total_bytes={limits.total_bytes:,};"
                        " raise it with --limit total_bytes=N"
                    )
                if deadline.passed():
                    raise deadline.error(name)
    except (HTTPError, OSError) as error:
        raise UncribError(
            f"{name} could not be downloaded ({error}); check the network and try again"
        ) from error


def _digest_matches(path: Path, expected: Mapping[str, str]) -> bool:
    name = next(name for name in _HASHES if name in expected)
    digest = hashlib.new(name)
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest() == expected[name].lower()


def _configured_finder() -> PackageFinder:
    settings = _pip_settings()
    indexes = [] if settings.get("no-index", "").lower() in ("1", "true", "yes") else _indexes(settings)
    links = [link for link in settings.get("find-links", "").split() if "://" in link or Path(link).exists()]
    return _finder(indexes, links, settings)


def _indexes(settings: Mapping[str, str]) -> list[str]:
    return [settings.get("index-url", _DEFAULT_INDEX), *settings.get("extra-index-url", "").split()]


def _finder(indexes: list[str], links: list[str], settings: Mapping[str, str]) -> PackageFinder:
    import ssl  # noqa: PLC0415

    from unearth import PackageFinder  # noqa: PLC0415
    from unearth.auth import MultiDomainBasicAuth  # noqa: PLC0415
    from unearth.fetchers import PyPIClient  # noqa: PLC0415

    session: Any = PyPIClient(
        trusted_hosts=settings.get("trusted-host", "").split(),
        verify=ssl.create_default_context(cafile=settings["cert"]) if settings.get("cert") else True,
        timeout=30.0,
        follow_redirects=True,
        proxy=settings.get("proxy"),
    )
    session.auth = MultiDomainBasicAuth(prompting=False, index_urls=indexes)
    finder = PackageFinder(session, ignore_compatibility=True)
    finder.sources.clear()  # without any it would have put in the public index
    for url in links:
        finder.add_find_links(url)
    for url in indexes:
        finder.add_index_url(url)
    return finder


def _pip_settings() -> dict[str, str]:
    """What pip is set up with (files and environment), by option name; empty where there is no pip.

    `pip config list` prints lines such as `global.index-url='https://…'`.
    """
    run = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    try:
        said = subprocess.run(
            run, capture_output=True, timeout=30, check=True, stdin=subprocess.DEVNULL
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return {
            name: value
            for name in (
                "index-url",
                "extra-index-url",
                "find-links",
                "no-index",
                "cert",
                "proxy",
                "trusted-host",
            )
            if (value := os.environ.get(f"PIP_{name.upper().replace('-', '_')}"))
        }
    settings: dict[str, str] = {}
    strength = {"global": 0, "download": 1, ":env:": 2}
    lines = [line.partition("=") for line in said.decode("utf-8", "replace").splitlines()]
    keyed = [(key.rpartition("."), value) for key, _, value in lines if key.rpartition(".")[0] in strength]
    for (_, _, name), value in sorted(keyed, key=lambda item: strength[item[0][0]]):
        settings[name] = str(ast.literal_eval(value))
    return settings
