"""Marks: which function, method or class a comment says was copied from which."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.accuracy.library import MARK, side, sources

_DEFINED = re.compile(r"\s*(?:async\s+def|def|class)\s+(\w+)")
_DIVERGES = "# Ignore copy"
"""stands before a method of a marked class that the library's own check of copies passes over"""


@dataclass(frozen=True, slots=True)
class Place:
    """A unit: path of its file and row among that file's units."""

    path: str
    row: int


@dataclass(frozen=True, slots=True)
class Marked:
    """A function or method, the one that it was copied from, and its number of statements."""

    copy: Place
    original: Place
    statements: int
    replaced: str


@dataclass(frozen=True, slots=True)
class Marks:
    """All marks: how many comments, those that no unit could be found for, and the pairs they make."""

    count: int
    unresolved: tuple[tuple[str, int, str], ...]
    pairs: tuple[Marked, ...]


def marks() -> Marks:
    """Read every mark of the package. A mark before a class stands for all methods of that class."""
    count = 0
    unresolved: list[tuple[str, int, str]] = []
    pairs: dict[tuple[Place, Place], Marked] = {}
    for path, text in sources().items():
        for found in MARK.finditer(text):
            count += 1
            line = text.count("\n", 0, found.start()) + 2
            made = list(_pairs(path, text, line, found["original"].rstrip("."), found["replaced"].strip()))
            if not made:
                unresolved.append((path, line - 1, found["original"]))
            pairs.update(((pair.copy, pair.original), pair) for pair in made)
    return Marks(count, tuple(unresolved), tuple(pairs.values()))


def _pairs(path: str, text: str, line: int, dotted: str, replaced: str) -> Iterator[Marked]:
    copy, original = _unit_at(path, text, line), _unit_named(dotted)
    if copy is None or original is None:
        return
    name, other = _name(copy), _name(original)
    kinds = _kind(copy), _kind(original)
    if kinds != ("class", "class"):
        if "class" not in kinds:
            yield _marked(copy, original, replaced)
        return
    diverging = _diverging(text)
    rows = {unit.unit.name: row for row, unit in enumerate(side(original.path).units)}
    for row, unit in enumerate(side(path).units):
        member = unit.unit.name.removeprefix(f"{name}.")
        twin = rows.get(f"{other}.{member}")
        if member != unit.unit.name and twin is not None and unit.unit.start_line not in diverging:
            yield _marked(Place(path, row), Place(original.path, twin), replaced)


def _marked(copy: Place, original: Place, replaced: str) -> Marked:
    unit = side(copy.path).units[copy.row]
    return Marked(copy, original, len(unit.statements) - 1, replaced)


def _unit_at(path: str, text: str, line: int) -> Place | None:
    """The unit that is defined at a line, or at the next one that is neither blank nor a comment.

    A mark stands before the decorators or between them and the definition.
    """
    lines = text.split("\n")
    while line <= len(lines) and (not lines[line - 1].strip() or lines[line - 1].lstrip().startswith("#")):
        line += 1
    defined = _DEFINED.match(lines[line - 1]) if line <= len(lines) else None
    around = [
        (unit.unit.start_line, row)
        for row, unit in enumerate(side(path).units)
        if unit.unit.start_line <= line <= unit.unit.end_line
        and unit.unit.kind != "module"
        and (unit.unit.start_line == line or (defined and defined[1] == unit.unit.name.rpartition(".")[2]))
    ]
    return Place(path, max(around)[1]) if around else None


def _unit_named(dotted: str) -> Place | None:
    """The unit of a dotted name such as `models.bert.modeling_bert.BertLayer.forward`."""
    parts = dotted.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        path = f"transformers/{'/'.join(parts[:cut])}.py"
        if path in sources():
            wanted = ".".join(parts[cut:])
            rows = [row for row, unit in enumerate(side(path).units) if unit.unit.name == wanted]
            return Place(path, rows[-1]) if rows else None
    return None


def _diverging(text: str) -> set[int]:
    lines = text.split("\n")
    return {number + 2 for number, line in enumerate(lines) if line.strip().startswith(_DIVERGES)}


def _name(place: Place) -> str:
    return side(place.path).units[place.row].unit.name


def _kind(place: Place) -> str:
    return side(place.path).units[place.row].unit.kind
