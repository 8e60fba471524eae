"""Versions of code as sets of dataflow terms: dearer than shingles, but they see through restructuring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from detector.evidence.chronicle.lineage import Fit, Lineage, best_fit
from detector.evidence.chronicle.shingles import Shingles
from detector.fingerprint.repository import fingerprint_files
from detector.snapshot.history import read_blobs
from detector.snapshot.model import Snapshot
from detector.unit.source import SUFFIXES

MOST_BYTES = 150_000
"""code of all versions together; about a second of work"""


def best_fit_by_terms(
    later: tuple[Snapshot, Lineage], earlier: tuple[Snapshot, Lineage], weights: Mapping[str, float]
) -> Fit | None:
    """The revision of `earlier` whose code computes most of what matched files of `later` compute.

    `weights`: the later side's matched paths, each with its weight. None where there is no code among them or
    the versions are more than MOST_BYTES.
    """
    files = {file.blob: file.path for file in later[0].files if _is_code(file.path)}
    versions = {
        change.blob: change.path
        for changes in earlier[1].changes.values()
        for change in changes
        if change.blob and _is_code(change.path)
    }
    mine, theirs = _terms(later[0], files), _terms(earlier[0], versions)
    if not mine or not theirs:
        return None
    wanted: dict[int, float] = {}
    for blob, found in sorted(mine.items()):
        for term in found if files[blob] in weights else ():
            wanted[term] = wanted.get(term, 0.0) + weights[files[blob]] / len(found)
    return best_fit(replace(earlier[1], versions=theirs), wanted, frozenset().union(*mine.values()))


def _is_code(path: str) -> bool:
    return PurePosixPath(path).suffix in SUFFIXES


def _terms(snapshot: Snapshot, paths: Mapping[str, str]) -> dict[str, Shingles]:
    """Blob id -> terms of all units of that version; empty where there are too many bytes."""
    texts = read_blobs(snapshot, sorted(paths))
    if sum(map(len, texts.values())) > MOST_BYTES:
        return {}
    # each version in a folder of its own, below which it keeps its path, so that imports lead where they did
    contents = {f"{blob}/{paths[blob]}": data for blob, data in texts.items()}
    found: dict[str, set[int]] = {}
    for unit in fingerprint_files(contents, snapshot.limits).fingerprints:
        found.setdefault(unit.unit.path.partition("/")[0], set()).update(unit.terms.ravel().tolist())
    return {blob: frozenset(terms) for blob, terms in found.items()}
