"""What is laundered, and among what it is searched: code of packages that the background does not hold."""

from __future__ import annotations

import ast
import pickle
import random
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from benchmarks.accuracy.ladder.naming import reformatted
from detector.background.census import census_digest
from detector.background.corpus import obtain, read_list
from detector.errors import UncribError
from detector.fingerprint.fingerprint import Fingerprint
from detector.fingerprint.repository import fingerprint_files

CACHE = Path("benchmarks/.cache/ladder")
HELD_OUT = Path("benchmarks/background/held_out.txt")
SEARCHED, HAYSTACK = "calibration", "fit"
"""labels of the packages whose functions are laundered, and of those that they are searched among"""
FEWEST_NODES = 3
"""a unit with fewer dataflow nodes is not compared (detector/evidence/code.py)"""
_TESTS = {"test", "tests", "testing"}
_FILE_BYTES = (1_500, 25_000)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class Function:
    """A function or method, by file and dotted name, and how many statements it has."""

    path: str
    name: str
    statements: int


@dataclass(frozen=True, slots=True)
class Program:
    """Files of one package, taken as a closed program, and the functions in them that are searched for."""

    name: str
    files: dict[str, str]
    functions: tuple[Function, ...]


def requirements(label: str) -> list[str]:
    """The held-out packages with a label."""
    return [line.requirement for line in read_list(HELD_OUT) if line.label == label]


def program(requirement: str, bytes_wanted: int, packages: Path) -> Program:
    """Files of a package, chosen by lot. Raises UncribError if the package cannot be had."""
    chosen: dict[str, str] = {}
    for path, content in _files(requirement, packages):
        if _FILE_BYTES[0] <= len(content) <= _FILE_BYTES[1] and sum(map(len, chosen.values())) < bytes_wanted:
            try:
                text = content.decode("utf-8")
                reformatted(text)
            except (SyntaxError, UnicodeDecodeError, ValueError):
                continue
            chosen[path] = text
    functions = [function for path, text in sorted(chosen.items()) for function in functions_in(path, text)]
    return Program(requirement, chosen, tuple(functions))


def haystack(units: int, packages: Path) -> list[Fingerprint]:
    """Units of the other packages, by lot, as evenly as they have them: smallest package first, so that
    the larger ones make up for it.
    """
    here = sha256(Path(__file__).read_bytes() + HELD_OUT.read_bytes()).hexdigest()[:16]
    kept = CACHE / f"haystack-{units}-{census_digest()}-{here}.pickle"
    if kept.exists():
        found: list[Fingerprint] = pickle.loads(kept.read_bytes())
        return found
    names = sorted(requirements(HAYSTACK), key=lambda name: _size(name, packages))
    found = []
    for at, requirement in enumerate(names):
        try:
            found += _units(requirement, -(-(units - len(found)) // (len(names) - at)), packages)
        except UncribError as error:
            print(f"left out: {error}")
    if len(found) < units:
        raise UncribError(f"the other packages hold only {len(found)} units; ask for fewer with --haystack")
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(pickle.dumps(found))
    return found


def _size(requirement: str, packages: Path) -> int:
    try:
        return obtain(requirement, packages).archive.stat().st_size
    except UncribError:
        return 0


def _units(requirement: str, count: int, packages: Path) -> list[Fingerprint]:
    chosen: dict[str, bytes] = {}
    for path, content in _files(requirement, packages):
        chosen[path] = content
        if sum(text.count(b"def ") + 1 for text in chosen.values()) > 1.2 * count:
            break
    found = [unit for unit in fingerprint_files(chosen).fingerprints if len(unit.places) >= FEWEST_NODES]
    random.Random(requirement).shuffle(found)
    return found[:count]


def _files(requirement: str, packages: Path) -> list[tuple[str, bytes]]:
    files = [
        (path, content)
        for path, content in obtain(requirement, packages).read((".py",))
        if not _TESTS & set(path.split("/")[:-1])
    ]
    random.Random(requirement).shuffle(files)
    return files


def functions_in(path: str, text: str) -> list[Function]:
    """Module-level functions and methods of module-level classes whose name is bound once."""
    tree = ast.parse(reformatted(text))
    found: list[Function] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found.append(Function(path, node.name, _statements(node)))
        elif isinstance(node, ast.ClassDef):
            found += [
                Function(path, f"{node.name}.{member.name}", _statements(member))
                for member in node.body
                if isinstance(member, ast.FunctionDef)
            ]
    names = [function.name for function in found]
    return [function for function in found if names.count(function.name) == 1]


def _statements(function: ast.FunctionDef) -> int:
    """A function or class inside it is one statement: what it holds is a unit by itself."""
    found = 0
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        found += isinstance(node, ast.stmt)
        if not isinstance(node, _DEFINITIONS):
            waiting += ast.iter_child_nodes(node)
    return found
