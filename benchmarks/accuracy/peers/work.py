"""The work: folders `left` and `right` of submissions, and which pairs of them belong together."""

from __future__ import annotations

import ast
import json
import random
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from benchmarks.accuracy.ladder.laundry import LEVELS, laundered
from benchmarks.accuracy.ladder.sample import CACHE, HAYSTACK, SEARCHED, Program, program, requirements
from benchmarks.accuracy.peers.measures import Pair
from detector.errors import UncribError
from detector.options import Options
from detector.snapshot import open_snapshot

FEWEST_STATEMENTS = 6
BYTES = {SEARCHED: 14_000, HAYSTACK: 56_000}
"""code taken from each package; of those searched as much as on the ladder by default"""
_SEED = 5


@dataclass(frozen=True, slots=True)
class Work:
    """A folder with submissions left/NAME/**/*.py and right/NAME/**/*.py, and the pairs of names to find.

    All other pairs are `false`, but for those of which it is not known. If `whole`, each submission is a
    repository, else one file.
    """

    name: str
    folder: Path
    true: frozenset[Pair]
    false: frozenset[Pair]
    whole: bool = False

    def counted(self, scores: Mapping[Pair, float]) -> dict[Pair, float]:
        """The scores of pairs of which it is known."""
        return {pair: score for pair, score in scores.items() if pair in self.true or pair in self.false}


def function_work(
    count: int, decoys: int, packages: Path, folder: Path, left_out: list[str]
) -> Iterator[Work]:
    """For each level of the ladder: laundered functions left, the originals among decoys right.

    Every function stands in a file of its own, below the imports that it uses. Of two functions of one
    package it is not known: they may hold the same code, and a laundered one may hold the other inlined. Nor
    is it of two that differ in nothing but names: both packages took them from a third.
    A package that cannot be had is added to what is left out.
    """
    chosen = _functions(SEARCHED, packages, left_out)[:count]
    others = _functions(HAYSTACK, packages, left_out)[:decoys]
    right = {f"o{at:04}": alone(s.files[path], [name]) for at, (s, path, name) in enumerate(chosen)}
    right |= {f"x{at:04}": alone(s.files[path], [name]) for at, (s, path, name) in enumerate(others)}
    true = frozenset((f"c{at:04}", f"o{at:04}") for at in range(len(chosen)))
    shapes = {name: shape(text) for name, text in right.items()}
    false = set()
    for at, (here, _, _) in enumerate(chosen):
        related = {f"o{to:04}" for to, (there, _, _) in enumerate(chosen) if there is here}
        strange = (name for name in right.keys() - related if shapes[name] != shapes[f"o{at:04}"])
        false |= {(f"c{at:04}", name) for name in strange}
    for level, label in enumerate(LEVELS, 1):
        left = {}
        for at, (source, path, name) in enumerate(chosen):
            copy = laundered(source.files, source.name, CACHE / "laundered")[level - 1]
            left[f"c{at:04}"] = alone(copy.files[path], copy.units(path, name))
        place = _written(folder / f"level-{level}", left, right)
        yield Work(f"{level} {label}", place, true, frozenset(false))


def _functions(label: str, packages: Path, left_out: list[str]) -> list[tuple[Program, str, str]]:
    """Functions that are long enough, of all packages with a label, by lot."""
    found = []
    for requirement in requirements(label):
        try:
            source = program(requirement, BYTES[label], packages)
        except UncribError as error:
            left_out.append(f"{requirement} ({error})")
            continue
        found += [(source, f.path, f.name) for f in source.functions if f.statements >= FEWEST_STATEMENTS]
    random.Random(_SEED).shuffle(found)
    return found


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


def shape(text: str) -> str:
    """What is left of functions without imports and names."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        for field in ("id", "attr", "arg", "name"):
            if isinstance(getattr(node, field, None), str):
                setattr(node, field, "")
    return "".join(ast.dump(node) for node in tree.body if not isinstance(node, (ast.Import, ast.ImportFrom)))


def _written(folder: Path, left: dict[str, str], right: dict[str, str]) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    for side, files in (("left", left), ("right", right)):
        for name, text in files.items():
            (folder / side / name).mkdir(parents=True)
            (folder / side / name / "code.py").write_text(text, encoding="utf-8")
    return folder


def repository_work(pairs: Path, mirror: Path | None, folder: Path, left_out: list[str]) -> Work:
    """All repositories of a JSON file with lists `derived` and `independent` of {a, b}: b left, a right.

    Of pairs that the file does not list it is not known. Repositories are read from MIRROR/owner+name/repo
    where that exists, else from GitHub; a pair of which one cannot be read is added to what is left out.
    """
    place = folder / "repositories"
    shutil.rmtree(place, ignore_errors=True)
    known: dict[str, set[Pair]] = {"derived": set(), "independent": set()}
    listed = json.loads(pairs.read_text("utf-8"))
    for relation, pair in [(name, pair) for name in known for pair in listed[name]]:
        try:
            left = _exported(pair["b"], mirror, place / "left")
            right = _exported(pair["a"], mirror, place / "right")
        except UncribError as error:
            left_out.append(f"{pair['a']} and {pair['b']} ({error})")
            continue
        known[relation].add((left, right))
    derived, independent = (frozenset(found) for found in known.values())
    return Work("repositories", place, derived, independent, whole=True)


def _exported(source: str, mirror: Path | None, folder: Path) -> str:
    """Write a repository's Python files, as data, into a folder of its own; return the folder's name."""
    name, _, revision = source.partition("@")
    kept = mirror / name.replace("/", "+") / "repo" if mirror else None
    snapshot = open_snapshot(f"{kept if kept and kept.exists() else name}@{revision}", Options(history=False))
    place = folder / name.replace("/", "+")
    paths = [file.path for file in snapshot.files if file.path.endswith(".py") and _is_safe(file.path)]
    for path, content in snapshot.read(paths).items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(content)
    return place.name


def _is_safe(path: str) -> bool:
    """Whether a path of a repository stays within the folder that it is written into."""
    return not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts
