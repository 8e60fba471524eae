"""Pieces: a function that its file calls at one place is walked there, as if it had never been cut off.

Whether twenty statements stand in one function or in four is the author's choice, and the first thing that a
copier changes. Every unit keeps its own terms; its caller has them as well, over the caller's values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.fingerprint.binding import Scope, parameters_of
from detector.fingerprint.call import Arguments, Helpers
from detector.fingerprint.module import Module
from detector.fingerprint.statement import Statements
from detector.fingerprint.term import NONE, VARIABLE, Term

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tree_sitter import Node

DEPTH = 4
"""pieces within pieces, at most"""


class Pieces(Statements):
    """The walk of one unit, through the pieces that were cut off from it."""

    def __init__(
        self,
        scope: Scope,
        module: Module,
        own_names: frozenset[str],
        helper_of: Helpers,
        pieces: Mapping[str, Scope],
    ) -> None:
        super().__init__(scope, module, own_names, helper_of)
        self.pieces = pieces if scope.kind == "function_definition" else {}
        self.within: list[Scope] = [scope]

    def begin(self, node: Node) -> None:
        """Statements of a piece stand under the lines of its call."""
        if len(self.within) == 1:
            super().begin(node)

    def call(self, node: Node) -> Term:
        """A call; that of a piece is what the piece gives back."""
        piece = self.piece(node) if self.pieces else None
        if piece is None or not _is_straight(piece):
            return super().call(node)
        return self.walked(piece, node, tail=False)

    def returned(self, node: Node) -> None:
        """`return piece(...)`: whatever the piece returns, on every way there."""
        piece = self.piece(node) if self.pieces and node.type == "call" else None
        if piece is None:
            super().returned(node)
        else:
            self.walked(piece, node, tail=True)

    def piece(self, node: Node) -> Scope | None:
        """The piece that is called by its name, or on the subject, with arguments that plainly fit."""
        if self.inlined or node.named_child_count < 2:  # a helper that is inlined may stand in another file
            return None
        function, *_, given = node.named_children
        name, target = "", None
        if function.type == "identifier":
            name = self.text(function)
        elif function.type == "attribute":
            target, name = self.split(function)
        piece = self.pieces.get(name)
        if piece is None or piece in self.within or len(self.within) > DEPTH:
            return None
        if target is None:
            meant = self.lookup(name).fact == ("own", name)
        else:
            meant = target.type == "identifier" and self.subject(self.text(target)) is not None
        return piece if meant and self.fits(piece, self.parts(given)) else None

    def fits(self, piece: Scope, given: list[Node]) -> bool:
        """Does every argument plainly have its parameter?"""
        names = [name for name, _ in parameters_of(piece)]
        keywords = [self.text(part.named_children[0]) for part in given if part.type == "keyword_argument"]
        splats = any(part.type in ("list_splat", "dictionary_splat", "for_in_clause") for part in given)
        return (
            not splats
            and {*names, piece.receiver} >= set(piece.parameters)
            and len(given) <= len(names)
            and set(keywords) <= set(names[len(given) - len(keywords) :])
        )

    def walked(self, piece: Scope, node: Node, tail: bool) -> Term:
        """Walk a piece over the caller's values. What it changes of a subject stays changed."""
        function, *_, arguments = self.parts(node)
        body = piece.node.child_by_field_name("body")
        values = self.given(piece, self.arguments(arguments))
        if function.type == "attribute" and piece.receiver:
            values[piece.receiver] = self.value(self.split(function)[0])
        self.record.calls.add(piece.name)
        outer = self.env, self.locals, self.enclosing
        self.env = {name: term for name, term in self.env.items() if "." in name} | values
        self.locals, self.enclosing = frozenset(piece.names), []
        self.within.append(piece)
        try:
            return self.outcome(body, tail) if body is not None else NONE
        finally:
            self.within.pop()
            changed = {name: term for name, term in self.env.items() if "." in name}
            self.env, self.locals, self.enclosing = outer
            self.env.update(changed)

    def given(self, piece: Scope, given: Arguments) -> dict[str, Term]:
        """Values of a piece's parameters by name."""
        parameters = parameters_of(piece)
        values = dict(zip((name for name, _ in parameters), given.positional, strict=False))
        values.update(given.keywords)
        for name, fallback in parameters:
            if name not in values:
                values[name] = self.value(fallback) if fallback is not None else VARIABLE
        return {name: value for name, value in values.items() if value[:5] != VARIABLE[:5]}

    def outcome(self, body: Node, tail: bool) -> Term:
        """Run a piece's statements; what its last one returns, unless it returns for the caller (`tail`)."""
        if tail:
            self.block(body)
            return NONE
        for child in body.named_children:
            if child.type != "return_statement":
                self.run(child)
                continue
            for value in self.parts(child):
                if value.type in ("expression_list", "tuple"):
                    elements = [self.value(part) for part in self.parts(value)]
                    return VARIABLE._replace(fact=("elements", elements))
                return self.value(value)
        return NONE


def _is_straight(piece: Scope) -> bool:
    """Does the piece return at its end alone, if at all?"""
    body = piece.node.child_by_field_name("body")
    statements = [child for child in body.named_children if not child.is_extra] if body is not None else []
    return not piece.returns or piece.returns == statements[-1:]
