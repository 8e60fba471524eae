"""Concrete syntax trees by tree-sitter, within a time limit."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING

from detector.resources import grammar
from detector.unit.source import Source

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Query, Tree


_TIMED = 2**15
"""bytes from which a file's parsing is timed; tree-sitter takes a fraction of a second for less"""
_CONTINUED = 500
"""continued lines from which it is timed as well: a run of them takes quadratic time"""

_DEEPEST = 2000
"""levels of the tree that queries look at; at most as many as the walk can go down"""
_RUBBLE = 10_000
"""pieces under one syntax error from which a file is given up"""


@dataclass(frozen=True, slots=True)
class Syntax:
    """A source and its tree; `notice` says what part of it could not be used."""

    source: Source
    tree: Tree
    notice: str = ""


@lru_cache(maxsize=1)
def language() -> Language:
    """The grammar of Python."""
    import tree_sitter_python  # noqa: PLC0415
    from tree_sitter import Language  # noqa: PLC0415

    return Language(tree_sitter_python.language())


@lru_cache(maxsize=8)
def query(name: str) -> Query:
    """A query of `grammars/python/`, compiled once for each process."""
    from tree_sitter import Query  # noqa: PLC0415

    compiled: Query = Query(language(), grammar("python", f"{name}.scm"))
    return compiled


def captures(name: str, node: Node) -> dict[str, list[Node]]:
    """What the named query captures below a node, by capture name, in the order of the text."""
    from tree_sitter import QueryCursor  # noqa: PLC0415

    cursor = QueryCursor(query(name))
    cursor.set_max_start_depth(_DEEPEST)
    found = cursor.captures(node)
    return {capture: sorted(nodes, key=attrgetter("start_byte")) for capture, nodes in found.items()}


def parse(source: Source, seconds: float = 5.0) -> Syntax | None:
    """Parse a source; syntax errors leave gaps in the tree.

    None when the time limit strikes, or where so little parses that every query of the tree would take
    longer than that.
    """
    from tree_sitter import Parser  # noqa: PLC0415

    deadline = time.monotonic() + seconds
    text = source.text
    parser = Parser(language())
    timed = None
    if len(text) > _TIMED or text.count(b"\\\n") > _CONTINUED:
        try:
            timed = parser.parse(
                lambda offset, point: text[offset : offset + 2**16],
                progress_callback=lambda offset, error: time.monotonic() > deadline,
            )
        except ValueError:  # what tree-sitter raises when the callback stops it
            return None
    # A tree that was read through a callback calls it again for the text of every node. Parsing the bytes
    # after it takes over its subtrees, and costs next to nothing.
    tree = parser.parse(text, timed) if timed else parser.parse(text)
    if not tree.root_node.has_error:
        return Syntax(source, tree)
    if len(text) > _TIMED and _is_rubble(tree):
        return None
    return Syntax(source, tree, "has syntax errors; what parses around them is used")


def text(node: Node) -> str:
    """The text of a node."""
    return (node.text or b"").decode("utf-8", "replace")


def _is_rubble(tree: Tree) -> bool:
    """Does so much hang under one syntax error that a query, which takes quadratic time there, never ends?"""
    cursor = tree.walk()
    while True:
        node = cursor.node
        if node is not None and node.type == "ERROR" and node.child_count > _RUBBLE:
            return True
        if node is not None and node.has_error and cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return False
