"""One side's history as a row of states, and how well each fits a given set of shingles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from detector.evidence.chronicle.shingles import Shingles
from detector.snapshot.history import Change, Commit


@dataclass(frozen=True, slots=True)
class Lineage:
    """A side's commits, oldest first, what each changed, and the shingles of every version of a file by
    blob id.
    """

    commits: tuple[Commit, ...]
    changes: Mapping[str, tuple[Change, ...]]
    versions: Mapping[str, Shingles]

    def since(self, commit: str) -> Sequence[Commit]:
        """The commits after this one."""
        return self.commits[self._place(commit) + 1 :]

    def state(self, commit: str) -> dict[str, str]:
        """Path -> blob id after this commit, of the files that are followed.

        Commits are replayed in the order of the log. On parallel branches that is the order in which the
        work was committed, not the tree of any one branch.
        """
        files: dict[str, str] = {}
        for past in self.commits[: self._place(commit) + 1]:
            for change in self.changes.get(past.id, ()):
                if change.blob:
                    files[change.path] = change.blob
                else:
                    files.pop(change.path, None)
        return files

    def first_with(self, wanted: Shingles, share: float) -> Commit | None:
        """The first commit that brought a file holding this share of the shingles; None if none did."""
        enough = {
            blob for blob, found in self.versions.items() if len(wanted & found) >= share * len(wanted) > 0
        }
        return next(
            (
                commit
                for commit in self.commits
                if any(change.blob in enough for change in self.changes.get(commit.id, ()))
            ),
            None,
        )

    def first_blob(self, blob: str) -> Commit | None:
        """The first commit that brought this very blob."""
        return next(
            (
                commit
                for commit in self.commits
                if any(change.blob == blob for change in self.changes.get(commit.id, ()))
            ),
            None,
        )

    def _place(self, commit: str) -> int:
        return next((at for at, past in enumerate(self.commits) if past.id == commit), len(self.commits) - 1)


@dataclass(frozen=True, slots=True)
class Fit:
    """The first revision whose files hold the largest share, by weight, of what was looked for.

    `until` is the last commit that holds as much; `newest` the share at the end of the history. Of equal
    shares the one counts that holds more of everything the other side has (`beyond`, 0 to 1).
    """

    commit: Commit
    until: Commit
    share: float
    newest: float
    beyond: float


def best_fit(lineage: Lineage, wanted: Mapping[int, float], everything: Shingles) -> Fit | None:
    """The revision that fits weighted shingles best; None where nothing of them was ever there.

    `everything`: all shingles of the other side, those of files that nothing matched included.
    """
    total = sum(wanted.values())
    sought = wanted.keys() | everything
    parts = {blob: part for blob, found in lineage.versions.items() if (part := sought & found)}
    if not total or not any(wanted.keys() & part for part in parts.values()):
        return None
    held: Counter[int] = Counter()
    files: dict[str, str] = {}
    scored: list[tuple[Commit, float, float]] = []
    for commit in lineage.commits:
        changes = lineage.changes.get(commit.id, ())
        for change in changes:
            _move(held, parts, files.pop(change.path, ""), -1)
            if change.blob:
                files[change.path] = change.blob
                _move(held, parts, change.blob, 1)
        if changes or not scored:
            share = sum(sorted(wanted[shingle] for shingle in held.keys() & wanted.keys())) / total
            scored.append((commit, round(share, 9), len(held) / len(sought)))
        else:
            scored.append((commit, *scored[-1][1:]))
    best = max(scored, key=lambda entry: entry[1:])
    run = list(takewhile(lambda entry: entry[1:] == best[1:], scored[scored.index(best) :]))
    return Fit(best[0], run[-1][0], best[1], scored[-1][1], best[2])


def _move(held: Counter[int], parts: Mapping[str, Collection[int]], blob: str, step: int) -> None:
    for shingle in parts.get(blob, ()):
        held[shingle] += step
        if not held[shingle]:
            del held[shingle]
