"""Bytes of a repository file as text that can be parsed: encodings (PEP 263), line ends, notebooks."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

SUFFIXES = (".py", ".pyw", ".pyi", ".ipynb")
"""file names that hold Python code"""

_TRANSLATED = (b"\r", b"\f", b"\0")
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_MAGIC = re.compile(r"\s*(%{1,2}[A-Za-z]|!(?!=)|\?|[\w.*]+\?{1,2}\s*$)")
"""a magic, a shell line or a question; not an operator at the start of a continued line"""
_CELL_MAGIC_OF_PYTHON = ("%%time", "%%timeit", "%%capture", "%%prun", "%%python", "%%python3")


@dataclass(frozen=True, slots=True)
class Source:
    """One file of Python code: UTF-8 text with `\\n` line ends, and what had to be given up to get it.

    A notebook is its code cells in order, each under a line `# In [n]`, as `jupyter nbconvert` writes
    it; `cells` holds the first line of each (1-based).
    """

    path: str
    text: bytes
    cells: tuple[tuple[int, int], ...] = ()
    """(line of the cell's heading, number of the cell in the notebook)"""
    notice: str = ""


@dataclass(frozen=True, slots=True)
class _Cell:
    """What is read of a cell: its outputs, most of a notebook's bytes, are passed over."""

    cell_type: Any = None
    source: Any = None


@dataclass(frozen=True, slots=True)
class _Notebook:
    cells: list[_Cell]


_NOTEBOOK = msgspec.json.Decoder(_Notebook)


def read_source(path: str, content: bytes) -> Source:
    """Decode a file. Never raises: what cannot be read is replaced and named in `notice`."""
    if path.endswith(".ipynb"):
        return _notebook(path, content)
    if _is_plain(content):
        return Source(path, content)
    text, notice = decode(content)
    return Source(path, _plain_lines(text).encode(), notice=notice)


def _is_plain(content: bytes) -> bool:
    """Whether a file is what is made of it, as most are: ASCII with plain line ends."""
    plain = content.isascii() and not any(sign in content for sign in _TRANSLATED)
    return plain and not _declared_encoding(content)


def decode(content: bytes) -> tuple[str, str]:
    """Text of a source file by byte-order mark, then PEP 263 cookie, then UTF-8, then a guess."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "replace"), ""
    declared = _declared_encoding(content)
    for encoding in (declared, "utf-8"):
        if encoding:
            try:
                return content.decode(encoding), ""
            except (LookupError, UnicodeDecodeError, ValueError):
                continue
    from charset_normalizer import from_bytes  # noqa: PLC0415 - needed for few files only

    best = from_bytes(content[: 2**16]).best()
    encoding = best.encoding if best else "latin-1"
    return content.decode(encoding, "replace"), f"is not valid {declared or 'utf-8'}; read as {encoding}"


def _declared_encoding(content: bytes) -> str:
    for line in content[:1024].split(b"\n", 2)[:2]:
        cookie = _COOKIE.match(line)
        if cookie:
            return cookie.group(1).decode("ascii", "replace")
    return ""


def _plain_lines(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", " ").replace("\0", " ")
    return text.encode("utf-8", "replace").decode()  # half a surrogate pair has no UTF-8


def _notebook(path: str, content: bytes) -> Source:
    lines: list[str] = []
    starts: list[tuple[int, int]] = []
    try:
        for number, text in _code(_cells(content)):
            starts.append((len(lines) + 1, number))
            lines += [f"# In [{number}]", *_without_magics(_plain_lines(text).split("\n"))]
    except (ValueError, RecursionError):
        return Source(path, b"", notice="is not a notebook that can be read (version 4 JSON is)")
    return Source(path, "\n".join(lines).encode(), tuple(starts))


def _cells(content: bytes) -> Sequence[_Cell]:
    """The cells of a notebook. Raises ValueError or RecursionError where there are none."""
    try:
        return _NOTEBOOK.decode(content).cells
    except (msgspec.DecodeError, UnicodeDecodeError):
        # a byte-order mark, NaN, broken UTF-8: what Python's own reader takes
        text = content.decode("utf-8-sig", "replace")
    try:
        return msgspec.convert(json.loads(text), _Notebook).cells
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


def _code(cells: Sequence[_Cell]) -> Iterator[tuple[int, str]]:
    """Number and text of each cell of code; parts that are no text are left out."""
    for number, cell in enumerate(cells, 1):
        if cell.cell_type != "code":
            continue
        if isinstance(cell.source, str):
            yield number, cell.source
        elif isinstance(cell.source, list):
            yield number, "".join(part for part in cell.source if isinstance(part, str))
        else:
            raise ValueError("a cell without source")


def _without_magics(lines: list[str]) -> list[str]:
    """Blank out IPython's magics and shell lines, so that line numbers stay."""
    if lines and lines[0].startswith("%%") and not lines[0].startswith(_CELL_MAGIC_OF_PYTHON):
        return [""] * len(lines)
    return ["" if _MAGIC.match(line) else line for line in lines]
