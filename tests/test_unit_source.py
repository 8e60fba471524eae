"""Reading files of code: every encoding, line end and notebook becomes text that parses, or a notice."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable

import pytest

from detector.fingerprint.fingerprint import Prints
from detector.fingerprint.repository import fingerprint_files
from detector.unit.source import read_source

CODE = "# Zürich\ndef area(width, height):\n    return abs(width) * height.strip('é')\n"


def terms(prints: Prints) -> list[list[int]]:
    return [unit.terms.ravel().tolist() for unit in prints.fingerprints]


def units(content: bytes, path: str = "module.py") -> list[tuple[str, int, int]]:
    prints = fingerprint_files({path: content}).fingerprints
    return [(unit.unit.name, unit.unit.start_line, unit.unit.end_line) for unit in prints]


@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF8 + CODE.encode(),
        codecs.BOM_UTF16_LE + CODE.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + CODE.encode("utf-16-be"),
        b"# -*- coding: latin-1 -*-" + CODE.encode("latin-1"),
        b"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\n" + CODE.encode("cp1252"),
        CODE.replace("\n", "\r\n").encode(),
        CODE.replace("\n", "\r").encode(),
        CODE.replace("    ", "\t").encode(),
        CODE.replace("def", "\f\ndef").encode(),
    ],
    ids=["utf-8 mark", "utf-16-le", "utf-16-be", "latin-1", "cp1252", "crlf", "cr", "tabs", "form feed"],
)
def test_the_same_code_has_the_same_terms_however_it_is_stored(content: bytes) -> None:
    found = fingerprint_files({"module.py": content})
    assert terms(found) == terms(fingerprint_files({"module.py": CODE.encode()}))
    assert not found.notices


@pytest.mark.parametrize("cookie", ["no-such-codec", "utf-8", "rot13", "hex", "idna"])
def test_a_cookie_that_does_not_fit_is_passed_over(cookie: str) -> None:
    content = f"# coding: {cookie}\n".encode() + CODE.encode("latin-1")
    source = read_source("module.py", content)
    assert b"def area" in source.text
    assert "is not valid" in source.notice


def test_half_surrogates_and_zero_bytes_do_no_harm() -> None:
    content = codecs.BOM_UTF16_LE + "x = '".encode("utf-16-le") + b"\x00\xd8" + "'\n".encode("utf-16-le")
    assert read_source("module.py", content).text
    assert units(b"\0" * 1000) == [("module", 1, 1)]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# only\n# comments\n", b"'''only a docstring'''\n"])
def test_a_file_without_code_is_one_empty_unit(content: bytes) -> None:
    prints = fingerprint_files({"module.py": content})
    assert [len(unit.places) for unit in prints.fingerprints] == [0]
    assert not prints.notices


def notebook(*cells: object) -> bytes:
    return json.dumps({"nbformat": 4, "cells": cells}).encode()


def code(*source: str) -> dict[str, object]:
    return {"cell_type": "code", "source": list(source)}


def test_a_notebook_is_its_code_cells_under_their_numbers() -> None:
    text = {"cell_type": "markdown", "source": ["def not_code(): pass"]}
    content = notebook(code("import os\n"), text, code("def f(a):\n", "    return os.stat(a)\n"))
    source = read_source("book.ipynb", content)
    assert source.cells == ((1, 1), (4, 3))
    assert ("f", 5, 6) in units(content, "book.ipynb")


IMAGE = "iVBORw0KGgo" * 1000


@pytest.mark.parametrize(
    "image",
    [IMAGE, f"{IMAGE}\n{IMAGE}\n", "", [IMAGE], 'a "quoted" \\', f'"{IMAGE}"', "\\", {}],
    ids=["plain", "lines", "empty", "list", "escapes", "quotes", "backslash", "no text"],
)
@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")])
def test_images_in_outputs_change_nothing(image: object, separators: tuple[str, str]) -> None:
    first, last = code("import os\n"), code("def f(a):\n", "    return a\n")
    with_image = {**first, "outputs": [{"data": {"image/png": image, "text/plain": ["os"]}}]}
    content = json.dumps({"cells": [with_image, last]}, separators=separators).encode()
    assert read_source("book.ipynb", content) == read_source("book.ipynb", notebook(first, last))


@pytest.mark.parametrize(
    "other",
    [
        lambda content: b"\xef\xbb\xbf" + content,
        lambda content: content.replace(b"PLACE", b"caf\xe9"),
        lambda content: content.replace(b'"PLACE"', b"NaN"),
        lambda content: content.replace(b"PLACE", b"\\ud800"),
        lambda content: content.replace(b'"PLACE"', b"9" * 5000),
    ],
    ids=["byte-order mark", "broken UTF-8", "NaN", "half a pair", "huge number"],
)
def test_outputs_that_strict_readers_refuse_do_not_cost_the_code(other: Callable[[bytes], bytes]) -> None:
    content = notebook({**code("a = 1\n"), "outputs": [{"data": "PLACE"}]})
    assert other(content) != content
    assert read_source("book.ipynb", other(content)).text == b"# In [1]\na = 1\n"


@pytest.mark.parametrize(
    "line",
    [
        'show({"image/png": "iVBOR"}, "image/png")\n',
        "show({'image/png': 'iVBOR', \"image/jpeg\": \"\"})\n",
        '"image/png": "iVBOR\n',
        'data = "\\"image/png": "iVBOR"\n',
        '"image/png',
        'image/png": "',
    ],
)
def test_code_that_speaks_of_images_is_kept(line: str) -> None:
    before, after = code(line, "x = 1\n"), code('y = "image/png"\n')
    source = read_source("book.ipynb", notebook(before, after))
    assert source.text.decode() == f'# In [1]\n{line}x = 1\n\n# In [2]\ny = "image/png"\n'


@pytest.mark.parametrize(
    "content",
    [
        b'{"cells": [{"outputs": {"image/png": "iVBOR',
        b'{"cells": [{"outputs": {"image/png": "iVBOR\\"}}]',
        b'{"cells": [], "image/png": "a" "image/png": "b"}',
        b'"image/png": "' * 50_000,
        b'"image/png' + b" " * 200_000 + b'"image/png": "',
    ],
)
def test_a_broken_notebook_with_images_is_named(content: bytes) -> None:
    assert "not a notebook" in read_source("book.ipynb", content).notice


def test_magics_and_shell_lines_leave_empty_lines() -> None:
    content = notebook(
        code("%matplotlib inline\n", "!pip install x\n", "a?\n", "def f(a):\n", "    return a.strip(9)\n"),
        code("%%bash\n", "for x in *; do echo $x; done\n"),
        code("%%time\n", "b = abs(-9.5)\n"),
    )
    prints = fingerprint_files({"book.ipynb": content})
    assert [unit.unit.start_line for unit in prints.fingerprints] == [1, 5]
    assert not prints.notices
    assert b"echo" not in read_source("book.ipynb", content).text


def test_an_operator_at_the_start_of_a_continued_line_is_no_magic() -> None:
    lines = ("x = (abs(a)\n", "     % len(b))\n", "y = x\n")
    book = fingerprint_files({"book.ipynb": notebook(code(*lines))})
    plain = fingerprint_files({"book.py": "".join(lines).encode()})
    assert terms(book) == terms(plain)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b'{"cells": 3}', b'{"cells": [3]}', b'{"worksheets": []}',
        b'{"cells": [{"cell_type": "code"}]}', b"[" * 100_000, b'{"cells": ' + b"9" * 10_000 + b"}",
    ],
)  # fmt: skip
def test_what_is_no_notebook_is_named_and_nothing_more(content: bytes) -> None:
    prints = fingerprint_files({"book.ipynb": content, "good.py": CODE.encode()})
    assert [notice.where for notice in prints.notices] == ["book.ipynb"]
    assert "area" in [unit.unit.name for unit in prints.fingerprints]


def test_a_cell_whose_source_is_no_text_is_empty() -> None:
    assert (
        read_source("book.ipynb", notebook({"cell_type": "code", "source": [1, None]})).text == b"# In [1]\n"
    )
