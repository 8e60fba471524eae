"""The words a file is written in: identifiers, string literals, prose, and the entries of its settings.

Pure functions from bytes or data to sets of strings. The evidence classes ask them what two sides share,
and the background is counted with the same functions, so that a rarity is always that of the thing found.

Python source is read by its lexical grammar alone (Language Reference, chapter 2), as one regular
expression that never fails and therefore never backtracks: Python 2, syntax errors and hostile text give
whatever words they hold, in time linear in their size.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from detector.evidence.finding import Json

LexemeKind = Literal["name", "string", "prose", "number"]

_TRIPLE = r'"""(?:[^"\\]+|\\.?|"(?!""))*(?:"""|\Z)' + r"|'''(?:[^'\\]+|\\.?|'(?!''))*(?:'''|\Z)"
_SINGLE = r'"(?:[^"\\\n]+|\\.?)*"?' + r"|'(?:[^'\\\n]+|\\.?)*'?"
_LEXEME = re.compile(
    rf"(?P<comment>\#[^\n]*)|(?P<string>[A-Za-z]{{0,2}}(?:{_TRIPLE}|{_SINGLE}))"
    r"|(?P<name>[^\W\d]\w*)|(?P<number>\d[\w.]*(?:(?<=[eE])[-+]\d+)?)",
    re.DOTALL,
)
_QUOTES = re.compile(r"^[A-Za-z]{0,2}(\"\"\"|'''|\"|')")
_INTERPOLATION = re.compile(r"\{[^{}\n]*\}")
_ESCAPED_SPACE = re.compile(r"\\[nrt\n]")
_KEYWORDS = frozenset((*keyword.kwlist, *keyword.softkwlist, "print", "self", "cls"))
_INDENT = 80
"""characters before a docstring that may be its indentation"""
DEEPEST = 64
"""levels of nesting that `entries` follows; deeper data is not settings"""


class Lexeme(NamedTuple):
    """One word of a source text. `prose` is a comment block or a docstring; `offset` counts characters."""

    kind: LexemeKind
    text: str
    offset: int


class Entry(NamedTuple):
    """One leaf of a settings tree: dotted path of keys, last key, value as canonical JSON."""

    path: str
    key: str
    value: str

    @property
    def text(self) -> str:
        """`key=value`, the form in which the background counts entries."""
        return f"{self.key}={self.value}"


def decode(data: bytes) -> str:
    """The text of a file whatever its encoding: never fails; NUL bytes and a byte-order mark are dropped."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "replace").replace("\0", "")


def lexemes(text: str) -> Iterator[Lexeme]:
    """The names, numbers, strings and prose of Python source in order.

    Adjacent literals are joined as Python joins them, adjacent comment lines as a reader does. White
    space inside strings and prose is folded, and interpolated fields of f-strings are written `{}`.
    """
    run: list[Lexeme] = []
    end = 0
    for found in _LEXEME.finditer(text):
        lexeme = _lexeme(text, found)
        if run and not (lexeme.kind == run[0].kind and text[end : found.start()].strip("\\ \t\r\n") == ""):
            yield _joined(run)
            run = []
        end = found.end()
        if lexeme.kind in ("string", "prose"):
            run.append(lexeme)
        else:
            yield lexeme
    if run:
        yield _joined(run)


def identifiers(source: bytes) -> frozenset[str]:
    """Every name in Python source that is not one of the language's own words."""
    names = (lexeme.text for lexeme in lexemes(decode(source)) if lexeme.kind == "name")
    return frozenset(names) - _KEYWORDS


def literals(source: bytes) -> frozenset[str]:
    """The contents of the string literals of Python source, docstrings apart, white space folded."""
    return frozenset(lexeme.text for lexeme in lexemes(decode(source)) if lexeme.kind == "string")


def entries(tree: Json) -> tuple[Entry, ...]:
    """The leaves of a settings tree in order.

    Objects are walked to `DEEPEST` levels, without recursion; lists of plain values are one leaf, since
    their order and length are part of the choice.
    """
    leaves: list[Entry] = []
    stack: list[tuple[str, str, Json, int]] = [("", "", tree, 0)]
    while stack:
        path, key, value, depth = stack.pop()
        if isinstance(value, dict) and depth < DEEPEST:
            below = [
                (f"{path}.{name}" if path else name, name, item, depth + 1) for name, item in value.items()
            ]
            stack.extend(reversed(below))
        elif (
            isinstance(value, list)
            and depth < DEEPEST
            and any(isinstance(item, dict | list) for item in value)
        ):
            stack.extend((f"{path}[{at}]", key, value[at], depth + 1) for at in reversed(range(len(value))))
        elif not isinstance(value, dict | list) or depth < DEEPEST:
            leaves.append(Entry(path, key, canonical(value)))
    return tuple(leaves)


def canonical(value: Json) -> str:
    """A value as text that is equal where the values are: 1e-05 and 0.00001, 1.0 and 1, sorted keys."""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Json) -> Json:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _joined(run: list[Lexeme]) -> Lexeme:
    first = run[0]
    return (
        first
        if len(run) == 1
        else first._replace(text=(" " if first.kind == "prose" else "").join(part.text for part in run))
    )


def _lexeme(text: str, found: re.Match[str]) -> Lexeme:
    kind = found.lastgroup
    raw = found.group()
    if kind in {"name", "number"}:
        return Lexeme("name" if kind == "name" else "number", raw, found.start())
    if kind == "comment":
        return Lexeme("prose", " ".join(raw.lstrip("#!:").split()), found.start())
    quotes = _QUOTES.match(raw)
    mark = quotes.group(1) if quotes else ""
    body = raw[quotes.end() if quotes else 0 :].removesuffix(mark)
    prefix = raw[: raw.find(mark)].lower()
    if "r" not in prefix:
        body = _ESCAPED_SPACE.sub(" ", body)
    if "f" in prefix:
        body = _INTERPOLATION.sub("{}", body)
    before = text[max(0, found.start() - _INDENT) : found.start()].rpartition("\n")[2]
    is_prose = len(mark) == 3 and not before.strip()
    return Lexeme("prose" if is_prose else "string", " ".join(body.split()), found.start())
