"""The history behind a snapshot: its commits, the files each changed, and the bytes of any blob.

All parents of merges are followed, since work that came in by a merge first appeared on its own branch.
Of a merge itself only files count that differ from every parent; so each version of a file is listed with
the commit that made it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, NamedTuple

from detector.errors import UncribError
from detector.snapshot.bounds import DATA_FACTOR
from detector.snapshot.clone import CloneStore
from detector.snapshot.deadline import Deadline
from detector.snapshot.model import File, Notice, Snapshot
from detector.snapshot.objects import text
from detector.snapshot.repository import list_files
from detector.snapshot.revision import Located, iso, locate

MOST_COMMITS = 20_000
_FORMAT = "--format=%H%x00%P%x00%ct%x00%an%x00%s"
_CHUNK = 2**16


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit. `at` is the committer's time (ISO 8601, UTC; empty if impossible), `author` a name only."""

    id: str
    at: str
    author: str
    subject: str
    parents: tuple[str, ...] = ()


class Change(NamedTuple):
    """A commit gave this path this content; a deletion has an empty `blob`."""

    commit: str
    path: str
    blob: str


@dataclass(frozen=True, slots=True)
class History:
    """Commits and changes, newest first. `notices` says what was left out; `complete` whether nothing was."""

    commits: tuple[Commit, ...] = ()
    changes: tuple[Change, ...] = ()
    notices: tuple[Notice, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether the whole history was read."""
        return not self.notices


def commits(snapshot: Snapshot, most: int = MOST_COMMITS, seconds: float = 30.0) -> list[Commit]:
    """The commits that lead to the snapshot, newest first; empty where there is no history.

    At most `most`, and as many as `seconds` allow. Raises UncribError if git cannot read the repository.
    """
    return list(_read(snapshot, [], most, seconds, None).commits)


def blobs_through_history(
    snapshot: Snapshot, suffixes: Sequence[str], max_commits: int = MOST_COMMITS, seconds: float = 30.0
) -> History:
    """Commits and every change to a file whose name ends in one of `suffixes`, from one call to git.

    What a limit or a gap in the repository cuts off is named in the result's notices.
    """
    return _read(
        snapshot, ["--raw", "-c", "--no-renames", "--no-abbrev"], max_commits, seconds, tuple(suffixes)
    )


def read_blobs(snapshot: Snapshot, ids: Iterable[str], seconds: float | None = None) -> dict[str, bytes]:
    """Bytes of any blobs of the snapshot's repository by id; those not at hand are absent.

    For a clone all that is missing comes in one request first. The snapshot's limits hold: a blob larger
    than any file that would be read is absent, and so is what lies beyond `total_bytes` in all.
    """
    located = _located(snapshot)
    if located is None:
        return {}
    limits = snapshot.limits
    deadline = Deadline.after(limits.seconds if seconds is None else seconds)
    wanted = list(dict.fromkeys(ids))
    if isinstance(snapshot.store, CloneStore):
        with suppress(UncribError):  # the server cannot be reached now: what is here is still worth reading
            snapshot.store.fetch(wanted, deadline)
    left = limits.total_bytes

    def may_read(size: int) -> bool:
        nonlocal left
        if size > min(left, DATA_FACTOR * limits.file_bytes):
            return False
        left -= size
        return True

    return located.objects.blobs(wanted, deadline, may_read)


def files_at(snapshot: Snapshot, commit: str) -> tuple[File, ...]:
    """The files of another commit of the snapshot's repository, by path."""
    located = _located(snapshot)
    if located is None:
        return ()
    files, _ = list_files(located.objects, commit, snapshot.limits, Deadline.after(snapshot.limits.seconds))
    return tuple(files)


def _located(snapshot: Snapshot) -> Located | None:
    """The snapshot's commit, or the last one of a work tree; None where there is no history."""
    if snapshot.git_dir is None:
        return None
    deadline = Deadline.after(snapshot.limits.seconds)
    try:
        return locate(snapshot.git_dir, snapshot.commit, snapshot.source, deadline)
    except UncribError:
        if snapshot.commit is None:  # a work tree in which nothing was committed yet
            return None
        raise


def _read(
    snapshot: Snapshot, details: Sequence[str], most: int, seconds: float, suffixes: tuple[str, ...] | None
) -> History:
    located = _located(snapshot)
    if located is None:
        return History()
    deadline = Deadline.after(seconds)
    listed: list[Commit] = []
    changes: list[Change] = []
    notices: list[Notice] = []
    arguments = ["log", "-z", _FORMAT, f"--max-count={most + 1}", *details, located.commit]
    try:
        with located.objects.stream(arguments, deadline) as output:
            for item in _items(output):
                if isinstance(item, Change):
                    if suffixes and item.path.endswith(suffixes):
                        changes.append(item)
                elif len(listed) == most:
                    notices.append(
                        Notice(f"history before {listed[-1].at} was left out: limit of {most:,} commits")
                    )
                    break
                else:
                    listed.append(item)
    except UncribError as error:  # what was read so far stands
        last = listed[-1].at if listed else "the newest commit"
        why = f"limit of {seconds:g} seconds" if deadline.passed() else str(error)
        notices.append(Notice(f"history before {last} was left out: {why}", snapshot.source))
    return History(tuple(listed), tuple(changes), tuple(notices))


def _items(output: IO[bytes]) -> Iterator[Commit | Change]:
    """Read the fields of `git log -z --raw`: five for a commit, two for each of its changes."""
    fields = _fields(output)
    commit = ""
    for field in fields:
        if field.startswith(b":"):
            # ":modes... ids... status"; the last id is the result, after one for each parent
            blob = field.split()[-2].decode("ascii", "replace")
            path = next(fields, b"")
            mode = field.split()[field.count(b":")]
            if blob.strip("0") and not mode.startswith(b"100"):
                continue  # a link or a submodule
            yield Change(commit, text(path), blob if blob.strip("0") else "")
        elif field:
            parents, at, author, subject = (next(fields, b"") for _ in range(4))
            commit = field.decode("ascii", "replace")
            yield Commit(
                commit,
                iso(at.decode("ascii", "replace")) or "",
                text(author),
                text(subject),
                tuple(parents.decode("ascii", "replace").split()),
            )


def _fields(output: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while chunk := output.read(_CHUNK):
        *fields, rest = (rest + chunk).split(b"\0")
        yield from (field.lstrip(b"\n") for field in fields)
    if rest:
        yield rest.lstrip(b"\n")
