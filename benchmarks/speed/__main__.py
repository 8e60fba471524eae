"""Time and memory of a whole `uncrib compare`, beside parsing the same files once with tree-sitter.

    python -m benchmarks.speed A B [A B ...]

For each pair: the command runs as a user runs it (a fresh process, `--no-history`, all processors), three
times with an empty cache; the quickest run counts. `again` is the same with the fingerprints that the run
before left in the cache. The yardstick is one process that parses every Python file of both sides
once. The target is `4 x parse + 1 s` and 500 MB. Evidence classes run at the same time, so phases add up to
more than the whole; those of the code class (fingerprint, weigh, match, explain, find) are a part of its own.
On a busy machine compare the processor seconds.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tree_sitter import Parser

from detector.evidence.registry import INDEPENDENT
from detector.snapshot import open_snapshot
from detector.unit.source import SUFFIXES
from detector.unit.tree import language

_RUNS = 3
_BESIDE = INDEPENDENT - {"code"}
"""phases that run in a process beside `code`: their seconds are no part of the whole's"""
_WEIGHING = {"weigh", "explain"}
"""phases in which what is common is weighed: bits, shared terms, commons, what explains a match"""
_PHASE = re.compile(r"^(\w+): ([\d.]+) s", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the command: seconds, processor seconds of all its processes, seconds of each phase, peak
    memory in MB (of the largest process).
    """

    seconds: float
    processor: float
    phases: tuple[tuple[str, float], ...]
    peak: float


def parse_seconds(sources: list[str]) -> tuple[float, int, int]:
    """Seconds to parse every Python file of the sources once in this process; files and bytes."""
    contents = [
        content
        for snapshot in map(open_snapshot, sources)
        for path, content in snapshot.read(f.path for f in snapshot.files).items()
        if path.endswith(SUFFIXES) and not path.endswith(".ipynb")
    ]
    parser = Parser(language())
    best = float("inf")
    for _ in range(_RUNS):
        started = time.perf_counter()
        for content in contents:
            parser.parse(content)
        best = min(best, time.perf_counter() - started)
    return best, len(contents), sum(map(len, contents))


def runs(a: str, b: str) -> tuple[Run, Run]:
    """Compare two sources with an empty cache, and once more."""
    with tempfile.TemporaryDirectory() as cache:
        return run(a, b, cache), run(a, b, cache)


def run(a: str, b: str, cache: str) -> Run:
    """Compare two sources with the command, in a process of its own."""
    environment = {**os.environ, "UNCRIB_CACHE_DIR": cache}
    with tempfile.TemporaryDirectory() as folder:
        report = str(Path(folder) / "report.json")
        command = [sys.executable, "-m", "detector", "compare", a, b, "--no-history", "-v", "--json", report]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, check=True, text=True, env=environment)
        seconds = time.perf_counter() - started
    phases = tuple((name, float(took)) for name, took in _PHASE.findall(done.stderr))
    scale = 2**20 if sys.platform == "darwin" else 2**10
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(seconds, processor, phases, after.ru_maxrss / scale)


def main(sources: list[str]) -> None:
    """Print one table for each pair of sources."""
    if not sources or len(sources) % 2:
        sys.exit("usage: python -m benchmarks.speed A B [A B ...]")
    for a, b in zip(sources[::2], sources[1::2], strict=True):
        parse, files, size = parse_seconds([a, b])
        first, second = zip(*(runs(a, b) for _ in range(_RUNS)), strict=True)
        best, again = (min(found, key=lambda r: r.seconds) for found in (first, second))
        print(f"{a} and {b}: {files} files, {size / 1e6:.2f} MB")
        print(f"{'phase':12} {'seconds':>8} {'x parse':>8}")
        whole = ("processor", best.processor), ("whole", best.seconds), ("again", again.seconds)
        for name, took in (*best.phases, *whole):
            print(f"{name:12} {took:8.2f} {took / parse:8.1f}")
        weighing = sum(took for name, took in best.phases if name in _WEIGHING)
        print(
            f"weighing: {weighing:.2f} s, {weighing / (best.seconds - weighing):.1%} of the rest of the whole"
        )
        allowed = 4 * parse + 1
        print(f"parse {parse:.3f} s; target 4 x parse + 1 s = {allowed:.2f} s: "
              f"{'met' if best.seconds <= allowed else 'missed'}; peak {best.peak:.0f} MB\n")  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
