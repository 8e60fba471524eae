"""Snapshots: a source (git URL, local repository, folder, package) at one revision, as plain data."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from detector.snapshot.model import File, Limits, Notice, Snapshot

if TYPE_CHECKING:
    from detector.options import Options

__all__ = ["File", "Limits", "Notice", "Snapshot", "open_snapshot"]


def open_snapshot(
    source: str,
    options: Options | None = None,
    progress: Callable[[str, int, int], None] = lambda phase, done, total: None,
) -> Snapshot:
    """Open a source at a revision; docs/sources.md describes what may be written.

    Nothing is checked out or executed. `progress(phase, done, total)` is called while fetching.
    Raises UncribError with one plain sentence if the source is wrong or cannot be read.
    """
    from detector.options import Options as Defaults  # noqa: PLC0415  options themselves need the limits of here
    from detector.snapshot.source import open_source  # noqa: PLC0415

    return open_source(source, options or Defaults(), progress)
