"""The library that marks its own copies: sources of transformers 4.40.0, each file as a side of its own.

Fingerprints are kept under benchmarks/.cache by a digest of the source and of the code that makes them, so
that a run that was interrupted goes on, and a changed detector starts anew.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path

from detector.background import Background
from detector.candidate.bag import bags
from detector.candidate.candidate import candidates
from detector.evidence.explanation import Explanations
from detector.fingerprint.fingerprint import Fingerprint
from detector.fingerprint.repository import fingerprint_files
from detector.match.chance import Common, law
from detector.match.correspondence import Matches, correspond
from detector.match.relation import relations
from detector.match.side import Side
from detector.match.significance import Significance
from detector.options import Options
from detector.snapshot import open_snapshot

SOURCE = "pypi:transformers==4.40.0"
CACHE = Path("benchmarks/.cache/accuracy/transformers")
THRESHOLD = Options().threshold
FEWEST_NODES = 3
MARK = re.compile(
    r"^[ \t]*# Copied from transformers\.(?P<original>[\w.]+)(?P<replaced>[^\n]*)$", re.MULTILINE
)


@lru_cache(maxsize=1)
def sources() -> dict[str, str]:
    """Path within the package and text of every Python file, marks included."""
    snapshot = open_snapshot(SOURCE)
    read = snapshot.read(file.path for file in snapshot.files if file.path.endswith(".py"))
    return {path: content.decode("utf-8") for path, content in sorted(read.items())}


def model_of(path: str) -> str:
    """The folder of the model that a file belongs to; empty outside the models."""
    parts = path.split("/")
    return parts[2] if len(parts) > 3 and parts[1] == "models" else ""


@cache
def side(path: str) -> Side:
    """One file as a side: its units without their marks, weighed by the shipped background."""
    units = _units(path)
    return Side(units, bags(units, Background.open().bits), relations(units))


def compared(a: str, b: str) -> Matches:
    """What the comparison of two files reports at the default threshold."""
    left, right = side(a), side(b)
    explanations = Explanations.of(Common.of(left.bags, right.bags), (), Background.open())
    test = Significance(explanations.common, law(), THRESHOLD, explanations.public)
    return correspond(left, right, candidates(left.bags, right.bags), test)


def pooled(paths: Iterable[str]) -> list[Fingerprint]:
    """The units of several files."""
    return [unit for path in paths for unit in side(path).units]


def _units(path: str) -> list[Fingerprint]:
    text = MARK.sub("", sources()[path]).encode()
    kept = CACHE / f"{sha256(_method() + path.encode() + text).hexdigest()}.pickle"
    if kept.exists():
        units: list[Fingerprint] = pickle.loads(kept.read_bytes())
        return units
    found = fingerprint_files({path: text}).fingerprints
    units = [unit for unit in found if len(unit.places) >= FEWEST_NODES or unit.unit.kind == "class"]
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(pickle.dumps(units))
    return units


@lru_cache(maxsize=1)
def _method() -> bytes:
    """Digest of the code that makes fingerprints."""
    code = [*Path("detector/unit").glob("*.py"), *Path("detector/fingerprint").glob("*.py"),
            *Path("grammars").rglob("*.scm"), *Path("grammars").rglob("*.toml")]  # fmt: skip
    return sha256(b"".join(path.read_bytes() for path in sorted(code))).digest()
