"""Parsing: old and broken code is used as far as it parses; hostile code is a notice, in bounded time."""

from __future__ import annotations

import time

import pytest

from detector.fingerprint.fingerprint import Prints
from detector.fingerprint.repository import fingerprint_files
from detector.snapshot.model import Limits
from detector.unit.source import Source
from detector.unit.tree import parse

GOOD = b"def good(a):\n    return a.upper() + hex(len(a))\n"


def prints_of(content: bytes) -> Prints:
    return fingerprint_files({"module.py": content})


def terms(content: bytes) -> set[int]:
    """The terms of the last unit."""
    return set(prints_of(content).fingerprints[-1].terms.ravel().tolist())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("print 'total', a", "print('total', a)"),
        ("print >>log, a", "print(a, file=log)"),
        ("if a <> 9:\n        return hex(a)", "if a != 9:\n        return hex(a)"),
        ("try:\n        a.pop(9)\n    except KeyError, e:\n        a.clear()",
         "try:\n        a.pop(9)\n    except KeyError as e:\n        a.clear()"),
        ("return 0777L + len(a)", "return 0o777 + len(a)"),
        ("return 99L + len(a)", "return 99 + len(a)"),
        ("return ur'x' + hex(a)", "return r'x' + hex(a)"),
    ],
)  # fmt: skip
def test_python_2_means_what_it_means_in_python_3(old: str, new: str) -> None:
    frame = "def f(a):\n    {}\n"
    assert terms(frame.format(old).encode()) == terms(frame.format(new).encode())


@pytest.mark.parametrize("statement", ["exec 'x = 1' in a", "return `a`", "raise ValueError, 'bad'"])
def test_what_only_python_2_knows_does_not_hide_the_rest(statement: str) -> None:
    content = f"def f(a):\n    {statement}\n\n".encode() + GOOD
    found = {unit.unit.name: unit for unit in prints_of(content).fingerprints}
    assert set(found["good"].terms.ravel().tolist()) == terms(GOOD)


@pytest.mark.parametrize(
    "broken",
    [
        b"def f(:\n    x = = 3\n",
        b"x = (1 +\n\n",
        b"class A\n    pass\n",
        b"<<<<<<< HEAD\nx = 1\n=======\n",
        b"??? \xff\n",
    ],
)
def test_around_a_syntax_error_the_rest_is_used_and_the_error_named(broken: bytes) -> None:
    found = prints_of(GOOD + b"\n\n" + broken)
    named = {unit.unit.name: unit for unit in found.fingerprints}
    assert set(named["good"].terms.ravel().tolist()) == terms(GOOD)
    assert any("syntax errors" in notice.message for notice in found.notices)


N = 100_000
NESTED = {
    "brackets": b"x = " + b"[" * N + b"]" * N,
    "brackets that stay open": b"x = " + b"[" * N,
    "parentheses": b"x = " + b"(" * N + b"1" + b")" * N,
    "dictionaries": b"x = " + b"{" * N + b"}" * N,
    "calls": b"x = " + b"f(" * N + b")" * N,
    "attributes": b"x = a" + b".b" * N,
    "chained calls": b"x = a" + b".b()" * N,
    "subscripts": b"x = a" + b"[0]" * N,
    "differences": b"x = a" + b" - a" * N,
    "powers": b"x = a" + b" ** a" * N,
    "negations": b"x = " + b"not " * N + b"a",
    "signs": b"x = " + b"-" * N + b"a",
    "stars": b"f(" + b"*" * N + b"a)",
    "conditions": b"if a" + b" and a" * N + b": pass",
    "lambdas": b"x = " + b"lambda: " * N + b"1",
    "conditional expressions": b"x = " + b"1 if a else " * N + b"0",
    "assignment expressions": b"x = " + b"(y := " * N + b"1" + b")" * N,
    "formatted strings": b"x = " + b"f'{" * N + b"1" + b"}'" * N,
    "blocks": b"".join(b" " * i + b"if a:\n" for i in range(1000)) + b" " * 1000 + b"x = 1",
    "functions": b"".join(b" " * i + b"def f(a):\n" for i in range(1000)) + b" " * 1000 + b"x = 1",
    "classes": b"".join(b" " * i + b"class A:\n" for i in range(1000)) + b" " * 1000 + b"x = 1",
    "else-ifs": b"if a:\n    x = 0\n" + b"elif a:\n    x = 1\n" * 20_000,
}


@pytest.mark.parametrize("shape", sorted(NESTED))
def test_deep_nesting_is_a_notice_in_bounded_time_and_the_next_file_is_compared(shape: str) -> None:
    started = time.process_time()
    found = fingerprint_files({"deep.py": NESTED[shape] + b"\n", "good.py": GOOD})
    assert time.process_time() - started < 10
    assert {notice.where for notice in found.notices} == {"deep.py"}
    assert set(found.fingerprints[-1].terms.ravel().tolist()) == terms(GOOD)


def test_after_a_statement_nested_too_deeply_the_next_ones_count() -> None:
    deep = b"def good(a):\n    a.x = " + b"[" * N + b"]" * N + b"\n    return a.upper() + hex(len(a))\n"
    assert terms(deep) >= terms(GOOD)


LARGE = {
    "a sum": b"x = a" + b" + a" * 50_000,
    "a long line": b"x = '" + b"a" * 2**20 + b"'",
    "a long list": b"x = [" + b"1.25, " * 100_000 + b"]",
    "many strings in a row": b"x = " + b"'a' " * 50_000,
    "many names imported": b"from m import " + b"a, " * 50_000 + b"b",
    "many targets": b"a = " * 50_000 + b"b",
    "many branches": b"if a > 1:\n    a = a.b()\n" * 5000,
    "many comprehensions": b"x = [i for i in a]\n" * 5000,
    "a value used twice over and over": b"a = a + a\n" * 10_000,
    "helpers that call helpers": b"".join(
        b"def h%d(a): return h%d(a) + h%d(a)\n" % (i, i + 1, i + 1) for i in range(200)
    ),
    "numbers too long to read": b"x = "
    + b"9" * N
    + b"\ny = 0x"
    + b"f" * N
    + b"\nz = 9e999 * 9e999\nv = 10**10**10",
}


@pytest.mark.parametrize("shape", sorted(LARGE))
def test_large_code_takes_bounded_time_and_no_notice(shape: str) -> None:
    started = time.process_time()
    found = fingerprint_files({"large.py": LARGE[shape] + b"\n"})
    assert time.process_time() - started < 10
    assert found.fingerprints and not found.notices


def test_the_time_limit_of_parsing_bites_and_is_named() -> None:
    limits = Limits(parse_seconds=1e-6)
    found = fingerprint_files({"large.py": GOOD * 20_000, "small.py": GOOD}, limits)
    assert [(notice.where, "--parse-seconds" in notice.message) for notice in found.notices] == [
        ("large.py", True)
    ]
    assert "good" in [unit.unit.name for unit in found.fingerprints]


def test_the_time_limit_holds_for_a_short_file_of_continued_lines() -> None:
    found = fingerprint_files({"run.py": b"\\\n" * 15_000, "small.py": GOOD}, Limits(parse_seconds=0.2))
    assert [notice.where for notice in found.notices] == ["run.py"]
    assert "good" in [unit.unit.name for unit in found.fingerprints]


def test_a_timed_tree_is_the_tree_of_the_same_bytes() -> None:
    text = GOOD * 2000
    timed, plain = parse(Source("m.py", text), 60), parse(Source("m.py", text[: len(text) // 100]), 60)
    assert timed and plain
    assert timed.tree.root_node.named_child_count == 100 * plain.tree.root_node.named_child_count
    last = timed.tree.root_node.named_children[-1]
    assert last.text == GOOD.rstrip() and last.end_byte == len(text) - 1
