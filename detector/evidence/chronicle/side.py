"""One side made ready: its lineage over the files that take part in matches, read within bounds."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from detector.evidence.chronicle.lineage import Lineage
from detector.evidence.chronicle.shingles import Shingler, shared_words
from detector.snapshot.history import Change, Commit, blobs_through_history, read_blobs
from detector.snapshot.model import Notice, Snapshot

SMALL_VERSIONS = 600
"""versions of files that are read without being asked to"""
SMALL_COMMITS = 2_500
_MOST_VERSIONS = 6_000
_SECONDS = 60.0
_VERSION_BYTES = 2**20
"""a longer version of a file is left out"""


@dataclass(frozen=True, slots=True)
class Past:
    """What git says of one side before any file is read. `changes` are those of the files that are
    followed.
    """

    snapshot: Snapshot
    side: str
    commits: tuple[Commit, ...]
    changes: tuple[Change, ...]
    notices: tuple[Notice, ...]

    @property
    def versions(self) -> frozenset[str]:
        """The blob ids of every version of the files that are followed."""
        return frozenset(change.blob for change in self.changes if change.blob)

    @property
    def is_small(self) -> bool:
        """Whether it is cheap enough to be read without being asked to."""
        return len(self.versions) <= SMALL_VERSIONS and len(self.commits) <= SMALL_COMMITS


def past(snapshot: Snapshot, side: str, paths: Collection[str], suffixes: Iterable[str], eager: bool) -> Past:
    """The commits of a side and the changes to files with these suffixes.

    A history with very many versions is narrowed to files named like the matched ones (`paths`), wherever
    they lay.
    """
    most = 20_000 if eager else SMALL_COMMITS + 1
    history = blobs_through_history(snapshot, tuple(sorted(suffixes)), most, _SECONDS)
    changes = history.changes
    notices = list(history.notices) if eager else []
    if len({change.blob for change in changes}) > SMALL_VERSIONS:
        names = {PurePosixPath(path).name for path in paths}
        changes = tuple(change for change in changes if PurePosixPath(change.path).name in names)
        notices.append(Notice("only files named like matched ones were followed through history", side=side))
    versions = list(dict.fromkeys(change.blob for change in changes if change.blob))
    if len(versions) > _MOST_VERSIONS:
        kept = frozenset(versions[:_MOST_VERSIONS])
        changes = tuple(change for change in changes if change.blob in kept or not change.blob)
        notices.append(Notice(f"only the newest {_MOST_VERSIONS:,} versions of files were read", side=side))
    return Past(snapshot, side, history.commits, changes, tuple(notices))


def lineages(a: Past, b: Past) -> tuple[Lineage, Lineage, Shingler]:
    """Both sides' lineages, and the names that occur on both, which shingles keep. Each version is read
    once.
    """
    texts = tuple(
        {
            blob: data[:_VERSION_BYTES]
            for blob, data in read_blobs(side.snapshot, sorted(side.versions)).items()
        }
        for side in (a, b)
    )
    shingler = Shingler(shared_words(texts[0].values(), texts[1].values()))
    known = {blob: shingler(data) for blob, data in sorted({**texts[0], **texts[1]}.items())}
    return _lineage(a, known), _lineage(b, known), shingler


def _lineage(side: Past, known: dict[str, frozenset[int]]) -> Lineage:
    changes: dict[str, list[Change]] = {}
    for change in side.changes:
        changes.setdefault(change.commit, []).append(change)
    return Lineage(
        tuple(reversed(side.commits)),
        {commit: tuple(found) for commit, found in changes.items()},
        {blob: known.get(blob, frozenset()) for blob in sorted(side.versions)},
    )
