"""The page's one-expression lexer against Pygments, on real source files."""

from __future__ import annotations

import argparse
import inspect
import random
import textwrap
from types import ModuleType

import pytest
from pygments.lexers import PythonLexer
from pygments.token import Comment, Keyword, Literal, Number, Operator, String, Token
from report_factory import typical

from browser.opening import OpenPage
from detector.report.html import to_html

CLASSES = [(Comment, "c"), (String, "s"), (Number, "m"), (Keyword, "k"), (Operator.Word, "k"), (Literal, "s")]
AGREEING = 0.99
"""part of the characters, white space aside, that must get the same class"""


def _pygments(source: str) -> str:
    """One letter for each character; a dot for what the page leaves uncoloured."""
    marks = []
    for token, text in PythonLexer(stripnl=False, ensurenl=False).get_tokens(source):
        found: Token = next((mark for kind, mark in CLASSES if token in kind), ".")
        marks.append(str(found) * len(text))
    return "".join(marks)


@pytest.mark.parametrize("module", [argparse, random, textwrap, inspect])
def test_the_page_colours_python_as_pygments_does(module: ModuleType, open_page: OpenPage) -> None:
    source = inspect.getsource(module)
    page = open_page(to_html(typical()))
    drawn = page.evaluate(
        """source => { let marks = '';
             for (const [kind, text] of tokens(source, 'x.py'))
               marks += ('kscm'.includes(kind) ? kind : '.').repeat([...text].length);
             return marks; }""",
        source,
    )
    expected = _pygments(source)
    assert len(drawn) == len(expected) == len(source)
    ink = [index for index, letter in enumerate(source) if not letter.isspace()]
    same = sum(drawn[index] == expected[index] for index in ink)
    assert same / len(ink) >= AGREEING
