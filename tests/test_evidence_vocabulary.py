"""Words and entries are read from any bytes: names, texts and prose of Python, leaves of settings trees."""

from __future__ import annotations

import keyword
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.evidence.vocabulary import Entry, canonical, decode, entries, identifiers, lexemes, literals


def test_names_are_those_outside_of_strings_and_comments() -> None:
    source = b"import torch as t\n\ndef forward(self, x):  # a remark\n    return t.gelu(x, 'text')\n"
    assert identifiers(source) == {"torch", "t", "forward", "x", "gelu"}


def test_prefixes_of_strings_and_exponents_of_numbers_are_no_names() -> None:
    source = b'a = rb"x" + f"{y}"\nb = 1e5 + 0x1F + 2.5e-3 + 7j\n'
    assert identifiers(source) == {"a", "b"}
    assert lexemes(source.decode()).numbers == {"1e5", "0x1F", "2.5e-3", "7j"}


def test_literals_are_joined_as_python_joins_them_and_folded() -> None:
    source = b"""raise ValueError(
    "grid must be "
    'square,  got '
    f"{rows}x{columns}\\n"
)
print('a', "b")
"""
    assert literals(source) == {"grid must be square, got {}x{}", "a", "b"}


def test_docstrings_and_comment_blocks_are_prose_not_literals() -> None:
    text = 'def f():\n    """Cut the image.\n\n    Into tiles."""\n'
    text += '    # first the\n    # overview\n    p = """a prompt"""\n'
    quotations = lexemes(text).quotations
    assert [(found.kind, found.text) for found in quotations] == [
        ("prose", "Cut the image. Into tiles. first the overview"),
        ("string", "a prompt"),
    ]
    assert text[quotations[1].offset :].startswith('"""a prompt')


def test_python_2_and_broken_code_give_their_words() -> None:
    assert {"raw_input", "except_this"} <= identifiers(b"print raw_input('x'), except_this\ndef f(:\n  ]")


@given(st.text(max_size=400))
def test_reading_never_fails_and_never_invents(text: str) -> None:
    found = lexemes(text)
    assert all(name in text for name in found.names)
    assert not found.names & frozenset(keyword.kwlist)
    assert all(0 <= quotation.offset < len(text) for quotation in found.quotations)


@pytest.mark.parametrize(
    "hostile",
    ['\\"""', '"\\a', '"""', "'", "#\n", '"a"', '"""a"""\n', "a", "1.", "0e", "\0", "f", "\\", "((("],
    ids=repr,
)
def test_a_megabyte_of_anything_is_read_in_linear_time(hostile: str) -> None:
    def seconds(size: int) -> float:
        start = time.process_time()
        lexemes(hostile * (size // len(hostile)))
        return time.process_time() - start

    assert seconds(2**19) < 16 * max(seconds(2**17), 0.05)


def test_bytes_of_any_encoding_decode() -> None:
    assert decode("é = 1".encode("utf-16")) == "é = 1"
    assert decode(b"\xef\xbb\xbfx\0y\xff") == "xy\N{REPLACEMENT CHARACTER}"


def test_entries_are_the_leaves_with_their_paths() -> None:
    tree = {
        "vision": {"layers": 27, "sizes": [1, 2.0]},
        "stages": [{"lr": 1e-5}, {"lr": 0.00001}],
        "none": None,
    }
    assert entries(tree) == (  # type: ignore[arg-type]
        Entry("vision.layers", "layers", "27"),
        Entry("vision.sizes", "sizes", "[1,2]"),
        Entry("stages[0].lr", "lr", "1e-05"),
        Entry("stages[1].lr", "lr", "1e-05"),
        Entry("none", "none", "null"),
    )


def test_values_that_are_equal_are_written_alike() -> None:
    assert canonical(1.0) == canonical(1) == "1"
    assert canonical(1e-5) == canonical(0.00001)
    assert canonical(True) == "true"
    assert canonical("1") == '"1"'


def test_a_tree_deeper_than_settings_are_is_cut_not_recursed() -> None:
    deep: object = "bottom"
    for _ in range(5000):
        deep = {"k": deep}
    assert entries(deep) == ()  # type: ignore[arg-type]
