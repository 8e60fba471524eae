"""The words of one side's Python code, each with the first place where it stands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from detector.evidence.vocabulary import lexemes
from detector.snapshot.model import Notice, Snapshot
from detector.unit.source import SUFFIXES, read_source

Kind = Literal["name", "string", "prose", "number"]
LARGEST = 2**19
"""bytes of a Python file; generated tables are larger"""
LARGEST_NOTEBOOK = 2**21
_IMPORT = re.compile(
    r"from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]{0,4000}\)|[^\n]{0,1000})|import[ \t]+([^\n]{0,1000})"
)
"""looked for at any place: to try at the start of each line takes several times as long"""
_NAME = re.compile(r"\w+")


class Place(NamedTuple):
    """A character of a file."""

    path: str
    offset: int


class Import(NamedTuple):
    """One import statement: the dotted module (dots in front for relative ones), what is imported, where."""

    module: str
    names: tuple[str, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Words:
    """All words of one side by kind, and its imports. `texts` are the files as read, by path."""

    texts: Mapping[str, str]
    places: Mapping[Kind, Mapping[str, Place]]
    imports: tuple[Import, ...]

    def show(self, place: Place) -> str:
        """`path:line` of a place, lines from 1."""
        return f"{place.path}:{self.texts[place.path].count(chr(10), 0, place.offset) + 1}"

    def find(self, kind: Kind, text: str) -> str:
        """`path:line` where a word first stands. Of names and numbers only the file is kept until asked."""
        place = self.places[kind][text]
        if kind in ("name", "number"):
            place = Place(place.path, _whole(text, self.texts[place.path]))
        return self.show(place)


def _whole(word: str, text: str) -> int:
    """Where a word first stands by itself in a text; 0 if it does not. A pattern for each would be slow."""
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        around = text[max(0, at - 1) : at] + text[end : end + 1]
        if not any(letter.isalnum() or letter == "_" for letter in around):
            return at
        at = text.find(word, at + 1)
    return 0


@lru_cache(maxsize=4)  # several classes ask for the words of both sides
def read_words(snapshot: Snapshot, side: str) -> tuple[Words, tuple[Notice, ...]]:
    """Read the Python files and notebooks of one side; larger files are left out and named in a notice."""
    wanted, notices = [], []
    for file in snapshot.files:
        if file.path.endswith(SUFFIXES) and file.size is not None:
            limit = min(
                snapshot.limits.file_bytes, LARGEST_NOTEBOOK if file.path.endswith(".ipynb") else LARGEST
            )
            if file.size <= limit:
                wanted.append(file.path)
            else:
                notices.append(
                    Notice(f"is over {limit:,} bytes; its words were not compared", file.path, side)
                )
    texts: dict[str, str] = {}
    places: dict[Kind, dict[str, Place]] = {"name": {}, "string": {}, "prose": {}, "number": {}}
    imports: list[Import] = []
    for path, content in sorted(snapshot.read(wanted).items()):
        text = texts[path] = read_source(path, content).text.decode("utf-8", "replace")
        held = lexemes(text)
        start = Place(path, 0)
        for name in held.names:
            places["name"].setdefault(name, start)
        for number in held.numbers:
            places["number"].setdefault(number, start)
        for quotation in held.quotations:
            places[quotation.kind].setdefault(quotation.text, Place(path, quotation.offset))
        imports += _imports(path, text)
    return Words(texts, places, tuple(imports)), tuple(notices)


def _imports(path: str, text: str) -> list[Import]:
    found = []
    for match in _IMPORT.finditer(text):
        if text[text.rfind("\n", 0, match.start()) + 1 : match.start()].strip(" \t"):
            continue
        module, names, plain = match.groups()
        place = Place(path, match.start())
        if module:
            found.append(Import(module, tuple(_NAME.findall(names)), place))
        else:
            for part in plain.split(","):
                name = part.strip().split(" ")[0]
                if name.replace(".", "").isidentifier():
                    found.append(Import(name, (), place))
    return found
