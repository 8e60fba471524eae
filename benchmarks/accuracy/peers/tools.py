"""The tools: how each is installed, and the command that runs it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from detector.version import VERSION

ADAPTERS = Path(__file__).parent / "adapters"
_VERSION = "from importlib.metadata import version; print(version({!r}))"
_ROOMS = (Path("detector"), Path("grammars"))
SECONDS = 1800.0
"""time limit of an installation, and of one run"""


class ToolError(Exception):
    """Why a tool could not be installed, or did not finish."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool, the command that scores a folder, `command(folder, out, whole)`, and a digest of what code of
    this checkout takes part.
    """

    name: str
    command: Callable[[Path, Path, bool], list[str]]
    code: str = ""


def uncrib() -> Tool:
    """This checkout's Uncrib."""
    module = "benchmarks.accuracy.peers.adapters.uncrib_scores"
    return Tool(
        f"Uncrib {VERSION}",
        lambda folder, out, whole: [
            sys.executable, "-m", module, str(folder), str(out), *(["--whole"] if whole else [])
        ],
        _digest(ADAPTERS / "uncrib_scores.py", *(each for room in _ROOMS for each in room.rglob("*.*"))),
    )  # fmt: skip


def python_tool(package: str, home: Path) -> Tool:
    """A tool of PyPI, installed into an environment of its own. Raises ToolError."""
    python = home / "python" / "bin" / "python"
    if not python.exists():
        _install([sys.executable, "-m", "venv", str(home / "python")])
    if not _answers([str(python), "-c", f"import {package}"]):
        _install([str(python), "-m", "pip", "install", "--quiet", package])
    adapter = ADAPTERS / f"{package}_scores.py"
    version = _said([str(python), "-c", _VERSION.format(package)])
    return Tool(
        f"{package} {version}",
        lambda folder, out, _: [str(python), str(adapter), str(folder), str(out)],
        _digest(adapter),
    )


def dolos(home: Path) -> Tool:
    """Dolos, from the npm registry. Raises ToolError."""
    library = home / "node" / "node_modules" / "@dodona" / "dolos-lib"
    if not library.exists():
        _install(["npm", "install", "--silent", "--prefix", str(home / "node"), "@dodona/dolos-lib"])
    version = json.loads((library / "package.json").read_text("utf-8"))["version"]
    entry, adapter = library.resolve() / "dist" / "index.js", ADAPTERS / "dolos_scores.mjs"
    return Tool(
        f"Dolos {version}",
        lambda folder, out, _: ["node", str(adapter), str(folder), str(out), str(entry)],
        _digest(adapter),
    )


def jplag(command: str) -> Tool:
    """JPlag by a command that runs it, for example `java -jar jplag.jar`."""
    return Tool(
        "JPlag",
        lambda folder, out, whole: [
            *shlex.split(command), "--mode", "RUN", "-l", "python3", "--csv-export", "-n", "-1",
            "--overwrite", "-r", str(out.with_suffix("")),
            "-new", str(folder / "left"), "-old", str(folder / "right"),
        ],
        command,
    )  # fmt: skip


def _digest(*paths: Path) -> str:
    files = (path for path in sorted(paths) if path.is_file() and path.suffix != ".pyc")
    return sha256(b"".join(sha256(file.read_bytes()).digest() for file in files)).hexdigest()


def _answers(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _said(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, check=False, text=True).stdout.strip()


def _install(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS)
    except FileNotFoundError as error:
        raise ToolError(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"{command[0]} took longer than {SECONDS:.0f} s") from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout or "it said nothing").strip().split("\n")[-1]
        raise ToolError(said[:200]) from error
