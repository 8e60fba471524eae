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

    return Query(language(), grammar("python", f"{name}.scm"))


def captures(name: str, node: Node) -> dict[str, list[Node]]:
    """What the named query captures below a node, by capture name, in the order of the text."""
    from tree_sitter import QueryCursor  # noqa: PLC0415

    found = QueryCursor(query(name)).captures(node)
    return {capture: sorted(nodes, key=attrgetter("start_byte")) for capture, nodes in found.items()}


def parse(source: Source, seconds: float = 5.0) -> Syntax | None:
    """Parse a source; syntax errors leave gaps in the tree. None when the time limit strikes."""
    from tree_sitter import Parser  # noqa: PLC0415

    deadline = time.monotonic() + seconds
    text = source.text
    try:
        tree = Parser(language()).parse(
            lambda offset, point: text[offset : offset + 2**16],
            progress_callback=lambda offset, error: time.monotonic() > deadline,
        ) if len(text) > 2**18 else Parser(language()).parse(text)
    except ValueError:  # what tree-sitter raises when the callback stops it
        return None
    if tree is None:
        return None
    return Syntax(source, tree, "has syntax errors; what parses around them is used" if tree.root_node.has_error else "")
