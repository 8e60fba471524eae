"""Runs that were done, kept so that a benchmark that was interrupted goes on where it stopped."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from benchmarks.accuracy.peers.running import Run, run
from benchmarks.accuracy.peers.tools import Tool
from benchmarks.accuracy.peers.work import Work


def recorded(tool: Tool, work: Work, folder: Path) -> Run:
    """What a tool made of a work: as it was kept in `folder`, or done now. Raises ToolError.

    A tool whose code changed and a work whose files changed are run anew.
    """
    kept = folder / f"{_digest(tool, work)}.json"
    if kept.exists():
        found = json.loads(kept.read_text(encoding="utf-8"))
        scores = {(left, right): score for left, right, score in found.pop("scores")}
        return Run(scores=scores, **found)
    done = run(tool, work.folder, work.whole)
    found = {
        "scores": [[*pair, score] for pair, score in done.scores.items()],
        "seconds": done.seconds,
        "processor": done.processor,
        "megabytes": done.megabytes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(found), encoding="utf-8")
    return done


def _digest(tool: Tool, work: Work) -> str:
    digest = sha256(json.dumps([tool.name, tool.code, work.whole]).encode())
    for side in ("left", "right"):
        for path in sorted((work.folder / side).rglob("*.py")):
            digest.update(f"{path.relative_to(work.folder)}\0".encode() + sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:32]
