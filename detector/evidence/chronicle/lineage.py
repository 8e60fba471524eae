"""One side's history as a row of states, and how well each fits a given set of shingles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
    """The revision whose files hold the largest share of what was looked for.

    `until` is the last commit that holds as much; `newest` the share at the end of the history. `closeness`
    (0 to 1) decides between equal shares: how little else the files that hold it contain.
    """

    commit: Commit
    until: Commit
    share: float
    newest: float
    closeness: float


def best_fit(lineage: Lineage, wanted: Shingles) -> Fit | None:
    """The best-fitting revision of a lineage; None where nothing of it was ever there."""
    parts = {blob: wanted & found for blob, found in lineage.versions.items()}
    parts = {blob: part for blob, part in parts.items() if part}
    held: Counter[int] = Counter()
    sizes: Counter[str] = Counter()
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
            sizes = Counter(
                {path: len(lineage.versions[blob]) for path, blob in files.items() if blob in parts}
            )
            scored.append(
                (commit, len(held) / max(1, len(wanted)), 2 * len(held) / (len(wanted) + sizes.total() or 1))
            )
        else:
            scored.append((commit, *scored[-1][1:]))
    if not scored or max(share for _, share, _ in scored) == 0:
        return None
    best = max(scored, key=lambda entry: (entry[1], entry[2]))
    # stay on the run of commits that starts with the best one
    start = scored.index(best)
    run = [entry for entry in scored[start:] if entry[1:] == best[1:]]
    return Fit(best[0], run[-1][0], best[1], scored[-1][1], best[2])


def _move(held: Counter[int], parts: Mapping[str, Shingles], blob: str, step: int) -> None:
    for shingle in parts.get(blob, ()):
        held[shingle] += step
        if not held[shingle]:
            del held[shingle]
