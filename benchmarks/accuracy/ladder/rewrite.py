"""What all rewrites have in common: a draw by lot at every site, fresh names, and the function around."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from random import Random
from typing import cast

import libcst as cst

from benchmarks.accuracy.ladder.effect import effect

SHARE = 0.6
"""share of the possible sites at which a rewrite is done"""
_WORDS = (
    "amber", "basin", "cedar", "delta", "ember", "flint", "grove", "haven", "inlet", "jetty", "knoll",
    "ledge", "marsh", "notch", "orbit", "plume", "quill", "ridge", "shoal", "talon", "umber", "vista",
    "wedge", "zephyr",
)  # fmt: skip
Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement


@dataclass
class Book:
    """What the rewrites of one program keep: the lot, names in use, and where functions went.

    `pieces[path, name]` lists the units that a function of the rewritten program came to lie in, where
    that is not the function of this name alone.
    """

    draw: Random
    taken: set[str]
    pieces: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    path: str = ""

    def fresh(self) -> str:
        """A name that the program does not use."""
        while True:
            words = self.draw.choice(_COMBINED)
            if words not in self.taken:
                self.taken.add(words)
                return words

    def came_apart(self, name: str, piece: str, whole: bool = False) -> None:
        """Note that code of a function now stands in `piece` as well, or (`whole`) instead."""
        known = self.pieces.setdefault((self.path, name), [name])
        if whole:
            known.remove(name)
        known.append(piece)


_COMBINED = ["_".join(words) for n in (2, 3) for words in product(_WORDS, repeat=n)]


class Rewrite(cst.CSTTransformer):
    """A transformer that knows the functions and classes around it."""

    def __init__(self, book: Book) -> None:
        super().__init__()
        self.book = book
        self.around: list[cst.FunctionDef | cst.ClassDef] = []
        self.uses: Counter[str] = Counter()
        """how often each name stands in the outermost function around"""

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Enter functions and classes."""
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            self.around.append(node)
            if isinstance(node, cst.FunctionDef) and len(self.functions) == 1:
                self.uses = effect(code(node)).uses
        return super().on_visit(node)

    def on_leave(self, original_node, updated_node):  # type: ignore[no-untyped-def]
        """Leave functions and classes."""
        left = super().on_leave(original_node, updated_node)
        if isinstance(original_node, (cst.FunctionDef, cst.ClassDef)):
            self.around.pop()
        return left

    @property
    def functions(self) -> list[cst.FunctionDef]:
        """The functions around, outermost first."""
        return [node for node in self.around if isinstance(node, cst.FunctionDef)]

    @property
    def in_function(self) -> bool:
        """Is a function the innermost scope?"""
        return bool(self.around) and isinstance(self.around[-1], cst.FunctionDef)

    @property
    def qualified(self) -> str:
        """Dotted name of the innermost scope."""
        return ".".join(node.name.value for node in self.around)

    def drawn(self, share: float = SHARE) -> bool:
        """Is this site one of those to rewrite?"""
        return self.book.draw.random() < share


class BlockRewrite(Rewrite):
    """A rewrite of the statements of a block inside a function."""

    def leave_IndentedBlock(
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.IndentedBlock:
        """Rewrite the block."""
        if not self.in_function:
            return updated_node
        return updated_node.with_changes(body=self.block([cast(Statement, s) for s in updated_node.body]))

    def block(self, statements: list[Statement]) -> Sequence[Statement]:
        """The statements that take the place of these."""
        raise NotImplementedError


_BLANK = cst.Module([])


def code(node: cst.CSTNode) -> str:
    """The text of a node."""
    return _BLANK.code_for_node(node)


def parsed(text: str) -> list[Statement]:
    """The statements that a text holds."""
    return list(cst.parse_module(text).body)


def small(statement: cst.CSTNode) -> cst.BaseSmallStatement | None:
    """The simple statement that stands on a line."""
    return statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None


def named(statement: cst.CSTNode) -> tuple[str, cst.BaseExpression] | None:
    """Name and value of `name = value`."""
    inner = small(statement)
    if isinstance(inner, cst.Assign) and len(inner.targets) == 1:
        target = inner.targets[0].target
        if isinstance(target, cst.Name):
            return target.value, inner.value
    return None


def returned(statement: cst.CSTNode) -> cst.BaseExpression | None:
    """The value of `return value`."""
    inner = small(statement)
    return inner.value if isinstance(inner, cst.Return) else None


def value_of(statement: cst.CSTNode) -> tuple[str, cst.BaseExpression] | None:
    """(`name =` or `return`, value) of such a statement."""
    found, given = named(statement), returned(statement)
    if found:
        return f"{found[0]} =", found[1]
    return ("return", given) if given is not None else None
