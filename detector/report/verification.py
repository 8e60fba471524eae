"""Whether a report still follows from its sources: recompute it at the same commits and compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from detector.compare import compare
from detector.report.model import Report, Side
from detector.report.serial import checksum, from_json, recorded_checksum
from detector.settings import options_from
from detector.snapshot.address import parse


@dataclass(frozen=True, slots=True)
class Verification:
    """The answer, and in sentences what was seen on the way to it."""

    holds: bool
    remarks: tuple[str, ...]


def verified(
    text: str,
    jobs: int = 0,
    offline: bool = False,
    progress: Callable[[str, int, int], None] = lambda phase, done, total: None,
) -> Verification:
    """Recompute a JSON report. It holds if the file is as it was written and the same evidence comes out.

    Raises UncribError where the report or a source cannot be read.
    """
    old = from_json(text)
    if recorded_checksum(text) != checksum(old):
        return Verification(False, ("the file was changed after it was written: its own checksum differs",))
    options = replace(options_from(old.tool.options, "the report's options"), jobs=jobs, offline=offline)
    new = compare(_pinned(old.a), _pinned(old.b), options, progress)
    holds = checksum(new) == checksum(old)
    remarks = [f"evidence checksum {checksum(old)}" if holds else _findings(old, new)]
    remarks += [
        f"{name} has no commit, so its present content was compared"
        for name, side in (("A", old.a), ("B", old.b))
        if side.commit is None
    ]
    if (old.tool.version, old.tool.background) != (new.tool.version, new.tool.background):
        remarks.append(
            f"the report was made by {old.tool.version} with background {old.tool.background}; "
            f"this is {new.tool.version} with {new.tool.background}, which may weigh differently"
        )
    return Verification(holds, tuple(remarks))


def _pinned(side: Side) -> str:
    """The source at the very commit that was compared."""
    address = parse(side.source)
    return f"{address.location}@{side.commit}" if side.commit and address.kind != "pypi" else side.source


def _findings(old: Report, new: Report) -> str:
    before, after = ({finding.id: finding for finding in report.findings} for report in (old, new))
    gone, come = before.keys() - after.keys(), after.keys() - before.keys()
    changed = sum(before[key] != after[key] for key in before.keys() & after.keys())
    return (
        f"of {len(before):,} findings {len(gone):,} are gone and {changed:,} changed; {len(come):,} are new; "
        f"the verdict is now {new.summary.verdict!r} and was {old.summary.verdict!r}"
    )
