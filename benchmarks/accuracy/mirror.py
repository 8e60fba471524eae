"""Public repositories, read from a folder of mirrors where they lie there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from detector.options import Options
from detector.snapshot import Snapshot, open_snapshot


def opened(source: str, mirror: Path | None, options: Options) -> Snapshot:
    """The snapshot of `owner/name@revision` under this name, from mirror/owner+name/repo or from GitHub."""
    name, _, revision = source.partition("@")
    kept = mirror / name.replace("/", "+") / "repo" if mirror else None
    snapshot = open_snapshot(f"{kept if kept and kept.exists() else name}@{revision}", options)
    return replace(snapshot, source=source, label=name)
