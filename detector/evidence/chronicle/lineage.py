"""One side's history as a row of states, and how well each fits a given set of shingles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, takewhile

from detector.evidence.chronicle.shingles import Shingles
from detector.snapshot.history import Change, Commit

_WHOLE = 2**50
"""the weight of everything that is looked for"""


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

    def firsts_with(self, parts: Sequence[Shingles], share: float) -> list[Commit | None]:
        """For each part the first commit that brought a file holding this share of its shingles."""
        sought = frozenset().union(*parts)
        holders: dict[int, list[str]] = {}
        for blob, found in self.versions.items():
            for shingle in found & sought:
                holders.setdefault(shingle, []).append(blob)
        born = self._born()
        firsts: list[Commit | None] = []
        for part in parts:
            counts = Counter(chain.from_iterable(holders.get(shingle, ()) for shingle in part))
            enough = [born[blob] for blob, count in counts.items() if count >= share * len(part)]
            firsts.append(self.commits[min(enough)] if enough else None)
        return firsts

    def first_blob(self, blob: str) -> Commit | None:
        """The first commit that brought this very blob."""
        place = self._born().get(blob)
        return self.commits[place] if place is not None else None

    def _born(self) -> dict[str, int]:
        """Blob id -> place of the first commit that brought it."""
        born: dict[str, int] = {}
        for place, commit in enumerate(self.commits):
            for change in self.changes.get(commit.id, ()):
                born.setdefault(change.blob, place)
        return born

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

    @property
    def is_past(self) -> bool:
        """Whether a past revision fits noticeably better than the one compared."""
        return self.share - self.newest >= 0.005


def best_fit(lineage: Lineage, wanted: Mapping[int, float], everything: Shingles) -> Fit | None:
    """The revision that fits weighted shingles best; None where nothing of them was ever there.

    `everything`: all shingles of the other side, those of files that nothing matched included.
    """
    total = sum(wanted.values())
    sought = wanted.keys() | everything
    parts = {blob: part for blob, found in lineage.versions.items() if (part := sought & found)}
    if not total or not any(wanted.keys() & part for part in parts.values()):
        return None
    tree = _Tree(parts, {shingle: round(weight / total * _WHOLE) for shingle, weight in wanted.items()})
    scored: list[tuple[Commit, float, float]] = []
    for commit in lineage.commits:
        for change in lineage.changes.get(commit.id, ()):
            tree.change(change)
        scored.append((commit, tree.weight / _WHOLE, len(tree.held) / len(sought)))
    best = max(scored, key=lambda entry: entry[1:])
    run = list(takewhile(lambda entry: entry[1:] == best[1:], scored[scored.index(best) :]))
    return Fit(best[0], run[-1][0], best[1], scored[-1][1], best[2])


class _Tree:
    """The files at one moment: how often each sought shingle is `held`, and the `weight` of those that are.

    Weights are whole numbers, so that their sum is the same in whatever order they come and go.
    """

    def __init__(self, parts: Mapping[str, Collection[int]], weights: Mapping[int, int]) -> None:
        self.held: dict[int, int] = {}
        self.weight = 0
        self._parts, self._weights = parts, weights
        self._files: dict[str, str] = {}

    def change(self, change: Change) -> None:
        """Give a path another content, or none."""
        for shingle in self._parts.get(self._files.pop(change.path, ""), ()):
            self.held[shingle] -= 1
            if not self.held[shingle]:
                del self.held[shingle]
                self.weight -= self._weights.get(shingle, 0)
        if change.blob:
            self._files[change.path] = change.blob
        for shingle in self._parts.get(change.blob, ()):
            if shingle not in self.held:
                self.held[shingle] = 0
                self.weight += self._weights.get(shingle, 0)
            self.held[shingle] += 1
