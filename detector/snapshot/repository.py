"""A git repository on this machine, read in place: bare, a work tree, or one with missing objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detector.errors import UncribError
from detector.snapshot import git
from detector.snapshot.bounds import DATA_FACTOR, listed, withhold
from detector.snapshot.deadline import Deadline
from detector.snapshot.model import File, Limits, Notice, Snapshot
from detector.snapshot.objects import Entry, Objects
from detector.snapshot.revision import committed_at, locate
from detector.snapshot.web import link_template

if TYPE_CHECKING:
    from detector.snapshot.address import Address


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """Reads a snapshot's blobs from an object folder; `withheld` are those that a limit keeps back."""

    objects: Objects
    limits: Limits
    withheld: frozenset[str] = frozenset()

    def read(self, files: Iterable[File]) -> Mapping[str, bytes]:
        """Blob id -> bytes of those that are at hand."""
        wanted = (file.blob for file in files if file.size is not None and file.blob not in self.withheld)
        most = DATA_FACTOR * self.limits.file_bytes
        return self.objects.blobs(wanted, Deadline.after(self.limits.seconds), lambda size: size <= most)


def git_dir_of(path: Path) -> Path | None:
    """The git directory of a work tree or bare repository; None if the folder is neither."""
    if (path / ".git").exists():
        return (path / ".git").resolve()
    if (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir():
        return path.resolve()
    return None


def open_repository(address: Address, git_dir: Path, limits: Limits) -> Snapshot:
    """Read a local repository's tree at the address's revision. Raises UncribError if it has none such."""
    deadline = Deadline.after(limits.seconds)
    try:
        located = locate(git_dir, address.revision, address.shown, deadline)
    except UncribError as error:
        if address.revision is None and "has no commits" in str(error):
            raise UncribError(f"{error}, or read its files with --dirty") from error
        raise
    files, notices = list_files(located.objects, located.commit, limits, deadline)
    notices += _missing(files)
    withheld, more = withhold(files, limits)
    url = _origin(located.config, deadline)
    return Snapshot(
        source=address.shown,
        label=address.label,
        commit=located.commit,
        committed_at=committed_at(located.objects, located.commit, deadline),
        files=tuple(files),
        store=ObjectStore(located.objects, limits, withheld),
        git_dir=git_dir,
        web=link_template(url) if url else None,
        notices=(*notices, *more),
        limits=limits,
    )


def list_files(
    objects: Objects, commit: str, limits: Limits, deadline: Deadline
) -> tuple[list[File], list[Notice]]:
    """The regular files of a commit's tree, by path, and what is not among them.

    Symbolic links are left out without a word: what they point to is in the tree itself, or nowhere.
    """
    entries, cut = objects.tree(commit, limits.files, deadline)
    notices = _submodules(entries)
    if cut:
        notices.append(
            Notice(f"only the first {len(entries):,} entries were looked at: limit files={limits.files:,}")
        )
    files = [entry.file() for entry in entries if entry.kind == "blob" and entry.mode.startswith("100")]
    return sorted(files, key=lambda file: file.path), notices


def _submodules(entries: Sequence[Entry]) -> list[Notice]:
    paths = [entry.path for entry in entries if entry.kind == "commit"]
    if not paths:
        return []
    return [Notice(f"submodules are not followed: {listed(paths)}; compare them on their own", paths[0])]


def _missing(files: Sequence[File]) -> list[Notice]:
    paths = [file.path for file in files if file.size is None]
    if not paths:
        return []
    return [Notice(f"not at hand in this repository: {listed(paths)}; the blob ids still count", paths[0])]


def _origin(config: Path, deadline: Deadline) -> str | None:
    if not config.is_file():
        return None
    arguments = ["config", "--file", str(config), "--no-includes", "--get", "remote.origin.url"]
    try:
        said = git.run(arguments, str(config), deadline, git.reading())
    except git.GitError:  # no such remote, or a file that is no configuration
        return None
    return said.decode("utf-8", "replace").strip() or None
