"""The work: folders `left` and `right` of submissions, and which pairs of them belong together."""

from __future__ import annotations

import ast
import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.accuracy.ladder.laundry import LEVELS, laundered
from benchmarks.accuracy.ladder.sample import CACHE, HAYSTACK, SEARCHED, Program, program, requirements
from benchmarks.accuracy.peers.measures import Pair
from detector.options import Options
from detector.snapshot import open_snapshot

FEWEST_STATEMENTS = 6
BYTES = 14_000
"""code taken from each package, as by default on the ladder"""
_SEED = 5


@dataclass(frozen=True, slots=True)
class Work:
    """A folder with submissions left/NAME/*.py and right/NAME/*.py, and the pairs of names to find."""

    name: str
    folder: Path
    true: frozenset[Pair]


def function_work(count: int, decoys: int, packages: Path, folder: Path) -> Iterator[Work]:
    """For each level of the ladder: laundered functions left, the originals among decoys right.

    Every function stands in a file of its own, below the imports that it uses.
    """
    found = [
        (source, f.path, f.name)
        for source in _programs(SEARCHED, packages)
        for f in source.functions
        if f.statements >= FEWEST_STATEMENTS
    ]
    others = [
        (source, f.path, f.name)
        for source in _programs(HAYSTACK, packages)
        for f in source.functions
        if f.statements >= FEWEST_STATEMENTS
    ]
    random.Random(_SEED).shuffle(found)
    random.Random(_SEED).shuffle(others)
    chosen = found[:count]
    right = {f"o{at:04}": alone(s.files[path], [name]) for at, (s, path, name) in enumerate(chosen)}
    right |= {f"x{at:04}": alone(s.files[p], [name]) for at, (s, p, name) in enumerate(others[:decoys])}
    for level, label in enumerate(LEVELS, 1):
        left = {}
        for at, (source, path, name) in enumerate(chosen):
            copy = laundered(source.files, source.name, CACHE / "laundered")[level - 1]
            left[f"c{at:04}"] = alone(copy.files[path], copy.units(path, name))
        true = frozenset((f"c{at:04}", f"o{at:04}") for at in range(len(chosen)))
        yield Work(f"{level} {label}", _written(folder / f"level-{level}", left, right), true)


def _programs(label: str, packages: Path) -> Iterator[Program]:
    for requirement in requirements(label):
        yield program(requirement, BYTES, packages)


def alone(text: str, names: list[str]) -> str:
    """Functions of a file by dotted name, and the imports that they use."""
    tree = ast.parse(text)
    functions = []
    for name in names:
        body = tree.body
        for part in name.split("."):
            node = next(n for n in body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name == part)
            body = node.body
        functions.append(node)
    used = {n.id for function in functions for n in ast.walk(function) if isinstance(n, ast.Name)}
    imports = [
        type(node)(**{**dict(ast.iter_fields(node)), "names": kept})
        for node in tree.body
        if isinstance(node, (ast.Import, ast.ImportFrom))
        and (kept := [a for a in node.names if (a.asname or a.name.partition(".")[0]) in used])
    ]
    return "\n\n\n".join(ast.unparse(node) for node in (*imports, *functions)) + "\n"


def _written(folder: Path, left: dict[str, str], right: dict[str, str]) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    for side, files in (("left", left), ("right", right)):
        for name, text in files.items():
            (folder / side / name).mkdir(parents=True)
            (folder / side / name / "code.py").write_text(text, encoding="utf-8")
    return folder


def repository_work(pairs: Path, mirror: Path | None, folder: Path) -> Iterator[tuple[Work, bool]]:
    """For each pair of a JSON file with lists `derived` and `independent`: a work of one pair, and whether
    it is derived. Repositories are read from MIRROR/owner+name/repo where that exists, else from GitHub.
    """
    known = json.loads(pairs.read_text("utf-8"))
    for relation in ("derived", "independent"):
        for at, pair in enumerate(known[relation]):
            place = folder / f"{relation}-{at}"
            shutil.rmtree(place, ignore_errors=True)
            for side, source in (("left", pair["a"]), ("right", pair["b"])):
                _export(source, mirror, place / side / side)
            name = " / ".join(pair[side].partition("@")[0] for side in ("a", "b"))
            yield Work(name, place, frozenset({("left", "right")})), relation == "derived"


def _export(source: str, mirror: Path | None, folder: Path) -> None:
    """Write a repository's Python files, as data, under safe names."""
    name, _, revision = source.partition("@")
    kept = mirror / name.replace("/", "+") / "repo" if mirror else None
    place = kept if kept and kept.exists() else name
    snapshot = open_snapshot(f"{place}@{revision}", Options(history=False))
    paths = [file.path for file in snapshot.files if file.path.endswith(".py")]
    folder.mkdir(parents=True)
    for path, content in snapshot.read(paths).items():
        (folder / path.replace("/", "__")[-200:]).write_bytes(content)
