"""A repository elsewhere: a bare partial clone in the cache, refreshed on use, its text in one request.

The clone holds every commit and tree but no blob (`--filter=blob:none`); then the blobs of one tree that
evidence can read are asked for together. A server without filters sends everything, which works as well.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detector.errors import UncribError
from detector.snapshot import git
from detector.snapshot.bounds import listed, withhold
from detector.snapshot.cache import cache_folder, locked
from detector.snapshot.deadline import Deadline
from detector.snapshot.model import File, Limits, Notice, Snapshot
from detector.snapshot.readable import is_code, is_pointer, is_readable
from detector.snapshot.repository import ObjectStore, list_files
from detector.snapshot.revision import Located, committed_at, locate
from detector.snapshot.web import link_template

if TYPE_CHECKING:
    from detector.snapshot.address import Address

HISTORY_FACTOR = 4
"""commits and trees (or everything, from a server without filters) may take this many times `total_bytes`"""

_REFS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_HEAD = "+HEAD:refs/uncrib/HEAD"  # so that one request also tells where the default branch is now
_FETCH = ("fetch", "--quiet", "--force", "--no-tags", "--no-write-fetch-head", "--filter=blob:none")
_FULL_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class TooLarge(UncribError):
    """A transfer grew beyond its limit."""


@dataclass(frozen=True, slots=True)
class Clone:
    """A partial clone in the cache, and the address it came from."""

    git_dir: Path
    url: str
    source: str

    def create(self, limits: Limits, deadline: Deadline) -> None:
        """Make the clone in a folder aside and move it into place when it is whole."""
        for format in ("sha1", "sha256"):
            aside = Clone(self.git_dir.with_suffix(".partial"), self.url, self.source)
            shutil.rmtree(aside.git_dir, ignore_errors=True)
            try:
                aside._initialise(format, deadline)
                aside.refresh(limits, deadline)
                aside._check(limits, deadline)
                aside.git_dir.rename(self.git_dir)
                return
            except git.GitError as error:
                if format == "sha256" or "mismatched algorithms" not in error.stderr:
                    raise
            finally:
                shutil.rmtree(aside.git_dir, ignore_errors=True)

    def _initialise(self, format: str, deadline: Deadline) -> None:
        arguments = [
            "init",
            "--quiet",
            "--bare",
            "--template=",
            f"--object-format={format}",
            str(self.git_dir),
        ]
        git.run(arguments, self.source, deadline, git.reading())
        settings = {
            "remote.origin.url": self.url,
            "remote.origin.promisor": "true",
            "remote.origin.partialCloneFilter": "blob:none",
            "extensions.partialClone": "origin",
            "core.repositoryFormatVersion": "1",
        }
        for name, value in settings.items():
            git.run(["config", name, value], self.source, deadline, git.reading(GIT_DIR=str(self.git_dir)))
        (self.git_dir / "HEAD").write_text("ref: refs/uncrib/HEAD\n")

    def _check(self, limits: Limits, deadline: Deadline) -> None:
        """Raise UncribError if a new clone is empty, as of a web page that is no repository, or too large."""
        arguments = ["for-each-ref", "--count=1"]
        if not git.run(arguments, self.source, deadline, git.reading(GIT_DIR=str(self.git_dir))):
            raise UncribError(f"{self.source} has no commits, or is not a git repository; check the address")
        if too_large := self._growth_watch(HISTORY_FACTOR * limits.total_bytes, before=0)():
            raise too_large

    def refresh(self, limits: Limits, deadline: Deadline) -> None:
        """Bring branches, tags and the default branch up to date."""
        most = HISTORY_FACTOR * limits.total_bytes
        try:
            self._fetch(["--prune", "origin", *_REFS, _HEAD], most, deadline)
        except git.GitError as error:
            if "couldn't find remote ref HEAD" not in error.stderr:
                raise
            self._fetch(["--prune", "origin", *_REFS], most, deadline)  # an empty or headless repository

    def locate(self, revision: str | None, offline: bool, limits: Limits, deadline: Deadline) -> Located:
        """Find a revision; a full commit id or a ref such as refs/pr/1 is asked for if it is not at hand."""
        try:
            return locate(self.git_dir, revision, self.source, deadline)
        except UncribError:
            if (
                offline
                or revision is None
                or not (_FULL_ID.fullmatch(revision) or revision.startswith("refs/"))
            ):
                raise
        kept = revision if revision.startswith("refs/") else f"refs/uncrib/{revision}"
        self._fetch(["origin", f"+{revision}:{kept}"], HISTORY_FACTOR * limits.total_bytes, deadline)
        return locate(self.git_dir, revision, self.source, deadline)

    def fetch_blobs(self, ids: Iterable[str], limits: Limits, deadline: Deadline) -> list[str]:
        """Bring blobs in one request; returns the ids that the server does not have. Raises TooLarge."""
        wanted = dict.fromkeys(ids)
        absent: list[str] = []
        while wanted:
            given = "".join(f"{id}\n" for id in wanted).encode()
            try:
                self._fetch(["--stdin", "origin"], limits.total_bytes, deadline, given)
                break
            except git.GitError as error:
                refused = re.search(r"not our ref ([0-9a-f]{40,64})", error.stderr)
                if refused is None or refused[1] not in wanted or len(absent) == 20:
                    raise
                absent.append(refused[1])
                del wanted[refused[1]]
        return absent

    def _fetch(self, arguments: list[str], most: int, deadline: Deadline, given: bytes = b"") -> None:
        # Asking for blobs by id needs no talk about which commits are already here.
        quick = ["-c", "fetch.negotiationAlgorithm=noop"] if given else []
        environment = git.fetching(GIT_DIR=str(self.git_dir))
        watch = self._growth_watch(most, _bytes_below(self.git_dir))
        git.run([*quick, *_FETCH, *arguments], self.source, deadline, environment, given=given, watch=watch)

    def _growth_watch(self, most: int, before: int) -> Callable[[], UncribError | None]:
        def watch() -> UncribError | None:
            if _bytes_below(self.git_dir) - before <= most:
                return None
            return TooLarge(
                f"{self.source} sent more than {most:,} bytes, which total_bytes allows; raise that limit"
            )

        return watch


@dataclass(frozen=True, slots=True)
class CloneStore:
    """Reads a snapshot's blobs from a clone; `fetch` brings more of them, unless working offline."""

    clone: Clone
    local: ObjectStore
    offline: bool

    def read(self, files: Iterable[File]) -> Mapping[str, bytes]:
        """Blob id -> bytes of those that are at hand; nothing is fetched one by one."""
        return self.local.read(files)

    def fetch(self, ids: Iterable[str], deadline: Deadline) -> None:
        """Bring those of the blobs that are not at hand, in one request."""
        ids = list(ids)
        at_hand = self.local.objects.sizes(ids, deadline)
        missing = [id for id in ids if id not in at_hand]
        if missing and not self.offline:
            with locked(self.clone.git_dir, self.clone.source, deadline):
                self.clone.fetch_blobs(missing, self.local.limits, deadline)


def open_clone(
    address: Address, limits: Limits, offline: bool, progress: Callable[[str, int, int], None]
) -> Snapshot:
    """Clone or refresh, then bring the readable files of the address's revision.

    Raises UncribError with one plain sentence if the source cannot be reached or read.
    """
    git.require_version()
    deadline = Deadline.after(limits.seconds)
    clone = Clone(_place(address), address.location, address.shown)
    phase = f"fetch {address.label}"
    progress(phase, 0, 2)
    with locked(clone.git_dir, address.shown, deadline):
        _update(clone, address.revision, offline, limits, deadline)
        progress(phase, 1, 2)
        located = clone.locate(address.revision, offline, limits, deadline)
        files, notices = list_files(located.objects, located.commit, limits, deadline)
        wanted = [file for file in files if file.size is None and _is_wanted(file, address.location)]
        why = _bring(clone, wanted, offline, limits, deadline)
    progress(phase, 2, 2)
    sizes = located.objects.sizes((file.blob for file in wanted), deadline)
    files = [File(file.path, file.blob, sizes.get(file.blob, file.size)) for file in files]
    notices += _absent(files, {file.path for file in wanted}, why)
    withheld, more = withhold(files, limits)
    return Snapshot(
        source=address.shown,
        label=address.label,
        commit=located.commit,
        committed_at=committed_at(located.objects, located.commit, deadline),
        files=tuple(files),
        store=CloneStore(clone, ObjectStore(located.objects, limits, withheld), offline),
        git_dir=clone.git_dir,
        web=link_template(address.location),
        notices=(*notices, *more),
        limits=limits,
    )


def _place(address: Address) -> Path:
    slug = re.sub(r"[^A-Za-z0-9]+", "-", address.label).strip("-")[:60]
    digest = hashlib.sha256(address.location.encode()).hexdigest()[:16]
    return cache_folder("clones") / f"{slug}-{digest}.git"


def _update(clone: Clone, revision: str | None, offline: bool, limits: Limits, deadline: Deadline) -> None:
    if not clone.git_dir.is_dir():
        if offline:
            raise UncribError(f"{clone.source} is not in the cache; run once without --offline")
        clone.create(limits, deadline)
    elif not offline and not _holds(clone, revision, deadline):
        clone.refresh(limits, deadline)


def _holds(clone: Clone, revision: str | None, deadline: Deadline) -> bool:
    """Whether the revision is a full commit id that is already here: then there is nothing to refresh."""
    if revision is None or not _FULL_ID.fullmatch(revision):
        return False
    try:
        locate(clone.git_dir, revision, clone.source, deadline)
    except git.GitError:
        return False
    return True


def _is_wanted(file: File, url: str) -> bool:
    return is_readable(file.path) or is_pointer(file.path, url)


def _bring(clone: Clone, wanted: list[File], offline: bool, limits: Limits, deadline: Deadline) -> str:
    """Fetch the wanted files, or at least the code; returns why some of them may still be absent."""
    if offline:
        return "not in the cache (--offline)"
    try:
        clone.fetch_blobs((file.blob for file in wanted), limits, deadline)
    except TooLarge:
        code = [file.blob for file in wanted if is_code(file.path)]
        clone.fetch_blobs(code, limits, deadline)
        return f"not fetched, beyond the limit total_bytes={limits.total_bytes:,}"
    return "not sent by the server"


def _absent(files: list[File], wanted: set[str], why: str) -> list[Notice]:
    paths = [file.path for file in files if file.size is None and file.path in wanted]
    return [Notice(f"{why}: {listed(paths)}; the blob ids still count", paths[0])] if paths else []


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in (folder / "objects").rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:  # git moves its temporary files while we look
            continue
    return total
