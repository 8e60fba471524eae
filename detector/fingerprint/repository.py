"""Fingerprints of all code of a repository: kept from an earlier run, or else computed now."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from detector.fingerprint.fingerprint import Prints
from detector.fingerprint.store import FEWEST_BYTES, keep, kept, state
from detector.fingerprint.workers import Job, fingerprinted
from detector.snapshot.model import File, Limits, Notice, Snapshot
from detector.unit.source import SUFFIXES


@dataclass(frozen=True, slots=True)
class _Code:
    """The Python files of a snapshot that are at hand, notices of the others, and the name under which the
    fingerprints are kept: empty where there is too little code for that.
    """

    files: list[tuple[File, bytes]]
    notices: tuple[Notice, ...]
    state: str


def fingerprint_files(contents: Mapping[str, bytes], limits: Limits = Limits()) -> Prints:
    """Fingerprint files as one repository, in this process. Keys are paths."""
    jobs = [Job(0, path, "", contents[path]) for path in sorted(contents)]
    return fingerprinted(jobs, 1, limits)[0]


def fingerprint_snapshots(
    snapshots: Sequence[Snapshot],
    jobs: int = 0,
    progress: Callable[[str, int, int], None] = lambda phase, done, total: None,
) -> list[Prints]:
    """Fingerprint all Python code of some snapshots with `jobs` processes (0: one for each processor)."""
    codes = [_code(snapshot) for snapshot in snapshots]
    found = {side: kept(code.state) if code.state else None for side, code in enumerate(codes)}
    limits = snapshots[0].limits if snapshots else Limits()
    work = [
        Job(side, file.path, file.blob, content)
        for side, code in enumerate(codes)
        for file, content in (code.files if found[side] is None else ())
    ]
    progress("parse", 0, len(work))
    computed = fingerprinted(work, len(codes), limits, jobs or os.cpu_count() or 1)
    progress("parse", len(work), len(work))
    for side, (code, prints) in enumerate(zip(codes, computed, strict=True)):
        # a file that was given up may be read when the machine is less busy
        if code.state and found[side] is None and prints.files == len(code.files):
            keep(code.state, prints)
    return [
        _noticed(found[side] or prints, code)
        for side, (code, prints) in enumerate(zip(codes, computed, strict=True))
    ]


def _noticed(prints: Prints, code: _Code) -> Prints:
    notices = sorted((*prints.notices, *code.notices), key=lambda notice: (notice.where, notice.message))
    return replace(prints, notices=tuple(notices))


def _code(snapshot: Snapshot) -> _Code:
    """Files of code that the limits leave."""
    limit = snapshot.limits.file_bytes
    code = [file for file in snapshot.files if file.path.endswith(SUFFIXES)]
    large = [file for file in code if file.size is not None and file.size > limit]
    wanted = [file for file in code if file not in large]
    contents = snapshot.read(file.path for file in wanted)
    missing = [file for file in wanted if file.path not in contents]
    notices = (
        *(
            Notice(f"has {file.size} bytes, more than --file-bytes {limit}; it was not compared", file.path)
            for file in large
        ),
        *(Notice("the object is missing; the file was not compared", file.path) for file in missing),
    )
    files = [(file, contents[file.path]) for file in wanted if file.path in contents]
    keeps = sum(map(len, contents.values())) >= FEWEST_BYTES
    return _Code(files, notices, state((file for file, _ in files), snapshot.limits) if keeps else "")
