"""From what a user calls a revision to one commit: a branch, a tag, an id, or a date."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from detector.errors import UncribError
from detector.snapshot import git
from detector.snapshot.deadline import Deadline
from detector.snapshot.objects import Objects

_DATE = re.compile(r"\d{4}-\d\d-\d\d(?P<time>T\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?)?")


@dataclass(frozen=True, slots=True)
class Located:
    """A commit of a repository, the objects it can be read from, and the repository's configuration file."""

    commit: str
    objects: Objects
    config: Path


def locate(git_dir: Path, revision: str | None, source: str, deadline: Deadline) -> Located:
    """Find the commit that `revision` names (the default branch's if None).

    A name or id wins over its reading as a date; a date means the newest commit, reachable from the default
    branch, made before its end (UTC). Raises UncribError if there is no such commit.
    """
    try:
        return _parse(git_dir, revision or "HEAD", source, deadline)
    except git.GitError as error:
        moment = _end_of(revision) if revision else None
        if moment is None or "not a git repository" in error.stderr:
            raise _clearer(error, revision, source) from error
    head = locate(git_dir, None, source, deadline)
    arguments = ["rev-list", "--max-count=1", f"--before=@{int(moment.timestamp())} +0000", head.commit]
    commit = head.objects.run(arguments, deadline).decode("ascii").strip()
    if not commit:
        raise UncribError(f"{source} has no commit before the end of {revision}; give a later date")
    return Located(commit, head.objects, head.config)


def committed_at(objects: Objects, commit: str, deadline: Deadline) -> str | None:
    """The committer's time in ISO 8601, UTC; None if it is no possible date."""
    said = objects.run(["rev-list", "--no-walk", "--format=%ct", commit], deadline)
    return iso(said.decode("ascii", "replace").split()[-1])


def iso(seconds: str) -> str | None:
    """Seconds since 1970, as git prints them, in ISO 8601 UTC; None if that is no possible date."""
    try:
        return datetime.fromtimestamp(int(seconds), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None


def _parse(git_dir: Path, revision: str, source: str, deadline: Deadline) -> Located:
    paths = [argument for name in ("objects", "shallow", "config") for argument in ("--git-path", name)]
    said = git.run(
        ["rev-parse", *paths, "--verify", f"{revision}^{{commit}}"],
        source,
        deadline,
        git.reading(GIT_DIR=str(git_dir)),
    )
    folder, shallow, config, commit = said.decode("utf-8", "surrogateescape").splitlines()
    format = "sha256" if len(commit) == 64 else "sha1"
    return Located(commit, Objects(Path(folder), Path(shallow), format, source), Path(config))


def _clearer(error: git.GitError, revision: str | None, source: str) -> UncribError:
    if "is ambiguous" in error.stderr:
        return UncribError(f"{revision} could be several commits of {source}; give more digits of its id")
    if "Needed a single revision" not in error.stderr:
        return error
    if revision is None:
        return UncribError(f"{source} has no commits that can be read on its default branch; add @REVISION")
    return error


def _end_of(text: str) -> datetime | None:
    """The last second of the day, or the moment, that a date names; without an offset it is UTC."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat(re.sub("Z$", "+00:00", text) if match["time"] else text[:10])
    except ValueError as error:
        raise UncribError(f"{text} is no date of the calendar; write YYYY-MM-DD") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment if match["time"] else moment + timedelta(days=1, seconds=-1)
