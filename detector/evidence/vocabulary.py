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
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from detector.evidence.finding import Json

_TRIPLE = r'"""(?:[^"\\]+|\\.?|"(?!""))*(?:"""|\Z)' + r"|'''(?:[^'\\]+|\\.?|'(?!''))*(?:'''|\Z)"
_SINGLE = r'"(?:[^"\\\n]+|\\.?)*"?' + r"|'(?:[^'\\\n]+|\\.?)*'?"
QUOTED = rf"\#[^\n]*|{_TRIPLE}|{_SINGLE}"
"""a comment or a string literal, as a pattern for DOTALL"""
_QUOTED = re.compile(f"({QUOTED})", re.DOTALL)
_PREFIX = re.compile(r"(?<!\w)[bBuUrRfFtT]{1,2}\Z")
_NAME = re.compile(r"\b[^\W\d]\w*")
_BETWEEN_NAMES = str.maketrans(
    {chr(code): " " for code in range(128) if not (chr(code).isalnum() or chr(code) == "_")}
)
"""what stands between names and numbers, in a text of ASCII alone"""
_NUMBER = re.compile(r"\d(?<!\w\d)[\w.]*(?:(?<=[eE])[-+]\d+)?")
"""looks behind the digit, not before it, since a search for a plain digit is quick"""
_INTERPOLATION = re.compile(r"\{[^{}\n]*\}")
_ESCAPED_SPACE = re.compile(r"\\[nrt\n]")
_KEYWORDS = frozenset((*keyword.kwlist, *keyword.softkwlist, "print", "self", "cls"))
_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))
_INDENT = 80
"""characters before a docstring that may be its indentation"""
_Node: TypeAlias = "tuple[str, str, Json, int]"
"""path, key, value, depth"""
_NESTED = frozenset((dict, list))
DEEPEST = 64
"""levels of nesting that `entries` follows; deeper data is not settings"""


class Quotation(NamedTuple):
    """A string literal, or a comment block or docstring (`prose`); `offset` counts characters from 0."""

    kind: Literal["string", "prose"]
    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class Lexemes:
    """All words of one Python text; names and numbers are those that stand outside of quotations."""

    quotations: tuple[Quotation, ...]
    names: frozenset[str]
    numbers: frozenset[str]


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


def lexemes(text: str) -> Lexemes:
    """The names, numbers, strings and prose of Python source.

    Adjacent literals are joined as Python joins them, adjacent comment lines as a reader does. White
    space inside strings and prose is folded, and interpolated fields of f-strings are written `{}`.
    """
    parts = _QUOTED.split(text)  # code, quoted, code, ..., code
    code = parts[::2]
    quotations: list[Quotation] = []
    run: list[Quotation] = []
    end = 0
    for at, raw in enumerate(parts[1::2]):
        between = code[at]
        start = end + len(between)
        end = start + len(raw)
        prefix = ""
        if between[-1:].isalpha() and (found := _PREFIX.search(between[-3:])):
            prefix = found.group().lower()
            code[at] = between = between[: -len(prefix)]
        quotation = _quotation(text, raw, start, prefix)
        if run and (quotation.kind != run[0].kind or between.strip("\\ \t\r\n")):
            quotations.append(_joined(run))
            run = []
        run.append(quotation)
    if run:
        quotations.append(_joined(run))
    bare = " ".join(code)
    return Lexemes(tuple(quotations), _names(bare), frozenset(_NUMBER.findall(bare)))


def _names(code: str) -> frozenset[str]:
    """The names in Python source without its strings and comments."""
    if not code.isascii():
        return frozenset(_NAME.findall(code)) - _KEYWORDS
    words = set(code.translate(_BETWEEN_NAMES).split())
    return frozenset(word for word in words if not word[0].isdigit()) - _KEYWORDS


def identifiers(source: bytes) -> frozenset[str]:
    """Every name in Python source that is not one of the language's own words."""
    return lexemes(decode(source)).names


def literals(source: bytes) -> frozenset[str]:
    """The contents of the string literals of Python source, docstrings apart, white space folded."""
    return frozenset(found.text for found in lexemes(decode(source)).quotations if found.kind == "string")


def entries(tree: Json) -> tuple[Entry, ...]:
    """The leaves of a settings tree in order.

    Objects are walked to `DEEPEST` levels, without recursion; lists of plain values are one leaf, since
    their order and length are part of the choice.
    """
    leaves: list[Entry] = []
    stack: list[_Node] = [("", "", tree, 0)]
    while stack:
        path, key, value, depth = stack.pop()
        if _is_leaf(value):
            leaves.append(Entry(path, key, canonical(value)))
        elif depth < DEEPEST:
            stack.extend(_below(path, key, value, depth + 1))
    return tuple(leaves)


def _is_leaf(value: Json) -> bool:
    """Whether it is a plain value or a list of such."""
    if type(value) is list:
        return _NESTED.isdisjoint(map(type, value))
    return type(value) is not dict


def _below(path: str, key: str, value: Json, depth: int) -> list[_Node]:
    """What an object, or a list that is no leaf, holds; the last first, as a stack gives it back."""
    if isinstance(value, dict):
        front = f"{path}." if path else ""
        return [(front + name, name, item, depth) for name, item in reversed(value.items())]
    assert isinstance(value, list)
    nodes = [(f"{path}[{at}]", key, item, depth) for at, item in enumerate(value)]
    return nodes[::-1]


def canonical(value: Json) -> str:
    """A value as text that is equal where the values are: 1e-05 and 0.00001, 1.0 and 1."""
    if type(value) is int:
        return repr(value)  # as the encoder writes it, at a tenth of the time
    if type(value) is str:
        return _quoted(value)
    plain = [_plain(item) for item in value] if isinstance(value, list) else _plain(value)
    return _whole(_ENCODER.encode(plain))


@lru_cache(maxsize=4096)  # the same few words fill most files
def _quoted(text: str) -> str:
    return _whole(_ENCODER.encode(text))


def _whole(text: str) -> str:
    """Without halves of surrogate pairs."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _plain(value: Json) -> Json:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _joined(run: list[Quotation]) -> Quotation:
    kind, text, offset = run[0]
    if len(run) > 1:
        text = (" " if kind == "prose" else "").join([part.text for part in run])
    folded = " ".join(text.split())
    return run[0] if folded == run[0].text else Quotation(kind, folded, offset)


def _quotation(text: str, raw: str, start: int, prefix: str) -> Quotation:
    if raw[0] == "#":
        return Quotation("prose", raw.lstrip("#!:"), start)
    mark = raw[:3] if raw.startswith(('"""', "'''")) else raw[0]
    body = raw[len(mark) :].removesuffix(mark)
    if "r" not in prefix and "\\" in body:
        body = _ESCAPED_SPACE.sub(" ", body)
    if "f" in prefix:
        body = _INTERPOLATION.sub("{}", body)
    is_prose = len(mark) == 3 and not text[max(0, start - _INDENT) : start].rpartition("\n")[2].strip(
        "rRuU \t"
    )
    return Quotation("prose" if is_prose else "string", body, start)
