"""Two real repositories with given files, opened as snapshots: what tests of evidence classes start from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from git_factory import new_repository

from detector.evidence.finding import Finding
from detector.snapshot import Snapshot, open_snapshot

Files = Mapping[str, "str | bytes"]


def snapshots(folder: Path, a: Files, b: Files, missing: Collection[str] = ()) -> tuple[Snapshot, Snapshot]:
    """Commit the files of both sides and open them; blobs of `missing` paths are deleted afterwards."""
    return opened(folder / "a", a, missing), opened(folder / "b", b, missing)


def opened(folder: Path, files: Files, missing: Collection[str] = ()) -> Snapshot:
    """One repository with the files, opened as a snapshot."""
    repository = new_repository(folder)
    repository.commit(files)
    for path in missing:
        if path in files:
            repository.drop(repository.git("rev-parse", f"HEAD:{path}"))
    return open_snapshot(str(folder))


def details(finding: Finding) -> dict[str, Any]:
    """What a finding shows, without the type of JSON in the way."""
    return dict(finding.details)
