"""The tools: how each is installed, run and measured. Needs a POSIX system, for the memory of a program."""

from __future__ import annotations

import csv
import json
import os
import shlex
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.accuracy.peers.measures import Pair

ADAPTERS = Path(__file__).parent / "adapters"
_VERSION = "from importlib.metadata import version; print(version({!r}))"
SECONDS = 1800.0
"""time limit of one run"""


class ToolError(Exception):
    """Why a tool could not be installed, or did not finish."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool and the command that scores a folder: `command(folder, out, whole)`."""

    name: str
    command: Callable[[Path, Path, bool], list[str]]


@dataclass(frozen=True, slots=True)
class Run:
    """Scores of pairs of submissions, wall-clock seconds, and the largest process's megabytes."""

    scores: dict[Pair, float]
    seconds: float
    megabytes: float


def uncrib() -> Tool:
    """This checkout's Uncrib."""
    module = "benchmarks.accuracy.peers.adapters.uncrib_scores"
    return Tool(
        "Uncrib",
        lambda folder, out, whole: [
            sys.executable, "-m", module, str(folder), str(out), *(["--whole"] if whole else [])
        ],
    )  # fmt: skip


def python_tool(package: str, home: Path) -> Tool:
    """A tool of PyPI, installed into an environment of its own. Raises ToolError."""
    python = home / "python" / "bin" / "python"
    if not python.exists():
        venv.create(home / "python", with_pip=True)
    if not _answers([str(python), "-c", f"import {package}"]):
        _install([str(python), "-m", "pip", "install", "--quiet", package])
    adapter = str(ADAPTERS / f"{package}_scores.py")
    version = _said([str(python), "-c", _VERSION.format(package)])
    return Tool(f"{package} {version}", lambda folder, out, _: [str(python), adapter, str(folder), str(out)])


def dolos(home: Path) -> Tool:
    """Dolos, from the npm registry. Raises ToolError."""
    library = home / "node" / "node_modules" / "@dodona" / "dolos-lib"
    if not library.exists():
        _install(["npm", "install", "--silent", "--prefix", str(home / "node"), "@dodona/dolos-lib"])
    version = json.loads((library / "package.json").read_text("utf-8"))["version"]
    entry, adapter = str(library.resolve() / "dist" / "index.js"), str(ADAPTERS / "dolos_scores.mjs")
    return Tool(f"Dolos {version}", lambda folder, out, _: ["node", adapter, str(folder), str(out), entry])


def jplag(command: str) -> Tool:
    """JPlag by a command that runs it, for example `java -jar jplag.jar`."""
    return Tool(
        "JPlag",
        lambda folder, out, whole: [
            *shlex.split(command), "-l", "python3", "--csv-export", "-n", "-1", "-m", "0", "-r", str(out),
            "-new", str(folder / "left"), "-old", str(folder / "right"),
        ],
    )  # fmt: skip


def run(tool: Tool, folder: Path, whole: bool = False) -> Run:
    """Score a folder. Raises ToolError if the tool fails or takes longer than SECONDS."""
    out = folder / "scores.json"
    out.unlink(missing_ok=True)
    begun = time.monotonic()
    with (folder / "log.txt").open("wb") as log:
        started = subprocess.Popen(tool.command(folder, out, whole), stdout=log, stderr=log)
        status, kilobytes = _waited(started)
    seconds = time.monotonic() - begun
    if status:
        said = (folder / "log.txt").read_text("utf-8", "replace").strip().split("\n")[-1]
        raise ToolError(f"{tool.name} ended with status {status}: {said[:200]}")
    return Run(_scores(out), seconds, kilobytes / 1024)


def _waited(started: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Exit status and the most memory in kilobytes; a program that takes too long is ended."""
    deadline = time.monotonic() + SECONDS
    while True:
        ended, status, usage = os.wait4(started.pid, os.WNOHANG)
        if ended:
            started.returncode = os.waitstatus_to_exitcode(status)
            return started.returncode, usage.ru_maxrss
        if time.monotonic() > deadline:
            started.kill()
            started.wait()
            raise ToolError(f"did not finish within {SECONDS:.0f} s")
        time.sleep(0.05)


def _scores(out: Path) -> dict[Pair, float]:
    if not out.exists():
        return _of_jplag(out.with_suffix("") / "results.csv")
    found = json.loads(out.read_text("utf-8"))
    if "submissions" in found:
        return {(a, b): score for a, b, score in found["submissions"]}
    return _covered(found["files"])


def _covered(rows: list[tuple[str, str, float, float]]) -> dict[Pair, float]:
    """Of file similarities: the share of a submission's bytes that lies in its files' best matches, of the
    two sides the larger. A submission of one file has the similarity of its file.
    """
    best: dict[tuple[Pair, int], dict[str, float]] = {}
    for file_a, file_b, share_a, share_b in rows:
        pair = Path(file_a).parent.name, Path(file_b).parent.name
        for side, path, share in ((0, file_a, share_a), (1, file_b, share_b)):
            shares = best.setdefault((pair, side), {})
            shares[path] = max(shares.get(path, 0.0), share)
    scores: dict[Pair, float] = {}
    for (pair, _), shares in best.items():
        folder = Path(next(iter(shares))).parent
        whole = sum(file.stat().st_size for file in folder.rglob("*.py"))
        covered = sum(Path(path).stat().st_size * share for path, share in shares.items()) / max(1, whole)
        scores[pair] = max(scores.get(pair, 0.0), covered)
    return scores


def _of_jplag(path: Path) -> dict[Pair, float]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(Path(a).name, Path(b).name, float(mean)) for a, b, mean, *_ in list(csv.reader(file))[1:]]
    return {(min(a, b), max(a, b)): mean for a, b, mean in rows}


def _answers(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _said(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, check=False, text=True).stdout.strip()


def _install(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS)
    except FileNotFoundError as error:
        raise ToolError(f"{command[0]} is not installed") from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout or "it said nothing").strip().split("\n")[-1]
        raise ToolError(said[:200]) from error
