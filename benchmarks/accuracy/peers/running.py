"""Running a tool: its scores, and the time and memory of all its processes. Needs a POSIX system."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.accuracy.peers.measures import Pair
from benchmarks.accuracy.peers.scores import pair_scores
from benchmarks.accuracy.peers.tools import SECONDS, Tool, ToolError

_INTERVAL = 0.25
"""seconds between two looks at the memory of the processes"""


@dataclass(frozen=True, slots=True)
class Run:
    """Scores of pairs of submissions, and what they cost.

    `seconds` by the clock, `processor` seconds of all processes, and the most `megabytes` that they held
    together, pages that they share counted once.
    """

    scores: dict[Pair, float]
    seconds: float
    processor: float
    megabytes: float


def run(tool: Tool, folder: Path, whole: bool = False) -> Run:
    """Score the submissions of a folder; `whole` if they are repositories and not single files.

    Raises ToolError if the tool fails or takes longer than SECONDS.
    """
    out = folder / "scores.json"
    out.unlink(missing_ok=True)
    shutil.rmtree(out.with_suffix(""), ignore_errors=True)
    begun = time.monotonic()
    with (folder / "log.txt").open("wb") as log:
        started = subprocess.Popen(tool.command(folder, out, whole), stdout=log, stderr=log)
        status, processor, held = _watched(started)
    seconds = time.monotonic() - begun
    if status:
        said = (folder / "log.txt").read_text("utf-8", "replace").strip().split("\n")[-1]
        raise ToolError(f"{tool.name} ended with status {status}: {said[:200]}")
    return Run(pair_scores(out, folder, whole), seconds, processor, held / 2**20)


def _watched(started: subprocess.Popen[bytes]) -> tuple[int, float, int]:
    """Exit status, processor seconds, and the most bytes held; what takes too long is ended."""
    deadline, most = time.monotonic() + SECONDS, 0
    program = psutil.Process(started.pid)
    while True:
        most = max(most, _held(program))
        ended, status, usage = os.wait4(started.pid, os.WNOHANG)
        if ended:
            started.returncode = os.waitstatus_to_exitcode(status)
            return started.returncode, usage.ru_utime + usage.ru_stime, most
        if time.monotonic() > deadline:
            for each in (*program.children(recursive=True), program):
                with suppress(psutil.Error):
                    each.kill()
            started.wait()
            raise ToolError(f"did not finish within {SECONDS:.0f} s")
        time.sleep(_INTERVAL)


def _held(program: psutil.Process) -> int:
    """Bytes that a program and its descendants hold now."""
    held = 0
    with suppress(psutil.Error):
        for each in (program, *program.children(recursive=True)):
            with suppress(psutil.Error):
                memory = each.memory_full_info()
                held += getattr(memory, "pss", memory.uss)
    return held
