"""Fingerprints: the terms of every unit of a file.

    declared = declare(syntax)                    # names by binding, small helpers: one file at a time
    fingerprints(declared, world)                 # terms of its units, given what the repository defines

A repository's files are declared first, as what one file defines is own in all others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from detector.fingerprint.api import api
from detector.fingerprint.binding import Bindings, Scope, bindings, parameters_of
from detector.fingerprint.call import Helper, Helpers
from detector.fingerprint.module import Module, Roots, module
from detector.fingerprint.piece import Pieces
from detector.fingerprint.statement import Statements
from detector.fingerprint.term import Term, digest
from detector.snapshot.model import Notice
from detector.unit.source import Source
from detector.unit.tree import Syntax, parse, text
from detector.unit.unit import Unit, UnitKind

if TYPE_CHECKING:
    from tree_sitter import Node

_HELPER_NODES = 80
_WORD = re.compile(r"\w+")
_KEPT_FACTS = {"constant", "api", "logger"}


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A unit's terms. Rows of `terms` are dataflow nodes, columns the `LEVELS`; `places` is each node's
    statement (row of `statements`: first and last line, first byte in the one and end in the other);
    `names[i]` stands directly under, or is bound to, node `nodes[i]`; `calls` are the own functions and
    classes it calls or builds.
    """

    unit: Unit
    terms: NDArray[np.int64]
    places: NDArray[np.int32]
    statements: NDArray[np.int32]
    names: tuple[str, ...]
    nodes: NDArray[np.int32]
    calls: tuple[str, ...]
    bases: tuple[str, ...] = ()
    skipped: int = 0
    """statements that were nested too deeply to walk"""


@dataclass(frozen=True, slots=True)
class Prints:
    """A repository's fingerprints in the order of paths and lines, and what could not be read."""

    fingerprints: tuple[Fingerprint, ...]
    notices: tuple[Notice, ...]
    lines: int
    files: int


@dataclass(frozen=True, slots=True)
class Declared:
    """A parsed file with its scopes resolved."""

    syntax: Syntax
    found: Bindings
    blob: str

    def functions(self) -> list[tuple[str, str, int, str | None]]:
        """(name, path, hash of the text, snippet) of each function; the snippet, a source by which other
        processes can inline it, is there for functions of one return expression that no framework calls.
        """
        source = self.syntax.source
        found: list[tuple[str, str, int, str | None]] = []
        for scope in self.found.scopes:
            if scope.kind == "function_definition":
                small = scope.name not in api().hooks and _returned(scope) is not None
                written = digest(text(scope.node))
                found.append((scope.name, source.path, written, self._snippet(scope) if small else None))
        return found

    def _snippet(self, scope: Scope) -> str:
        """The function with the imports of its file and the names bound there, as a file of its own."""
        written = text(scope.node)
        bound = sorted(self.found.scopes[0].names & set(_WORD.findall(written)) - {scope.name})
        names = [
            f"{name} = ..." for name in bound if not any(item.name == name for item in self.found.imports)
        ]
        column = scope.node.start_point[1]
        head = [] if not column else ["class C:"] if scope.receiver else ["if True:"]
        return "\n".join([*self.found.import_texts, *names, *head, " " * column + written])


@dataclass(frozen=True, slots=True)
class World:
    """What a repository defines: own names, import roots, and the helper of each unambiguous name."""

    own: frozenset[str]
    roots: Roots
    helper_of: Helpers


def declare(source: Source, blob: str = "", seconds: float = 5.0) -> Declared | None:
    """Parse a file and resolve its names; None when the time limit strikes."""
    syntax = parse(source, seconds)
    return Declared(syntax, bindings(syntax), blob) if syntax else None


def helper(name: str, snippet: Declared, roots: Roots) -> Helper | None:
    """The function of this name in its snippet; None where it does more than return one expression."""
    for scope in snippet.found.scopes:
        if scope.kind == "function_definition" and scope.name == name:
            body = _returned(scope)
            values = module(snippet.syntax.source, snippet.found, roots)
            return None if body is None else Helper(scope, values, parameters_of(scope), body)
    return None


def fingerprints(file: Declared, world: World) -> list[Fingerprint]:
    """Fingerprint every unit of a file, the module's own code first."""
    source = file.syntax.source
    names = module(source, file.found, world.roots)
    top = file.found.scopes[0]
    units: list[Fingerprint] = []
    walk = Pieces(top, names, world.own, world.helper_of, file.found.pieces)
    walk.block(top.node)
    units.append(
        _finished(walk, Unit(source.path, _stem(source.path), "module", 1, _last_line(top), file.blob))
    )
    names.values.update(
        (name, kept)
        for name, term in walk.env.items()
        if (kept := _kept(term)) is not None and name in top.names
    )
    for scope in file.found.scopes:
        if scope.kind in ("function_definition", "class_definition") and scope.name:
            units.append(_fingerprint(file, scope, names, world))
    return units


def _fingerprint(file: Declared, scope: Scope, names: Module, world: World) -> Fingerprint:
    walk = Pieces(scope, names, world.own, world.helper_of, file.found.pieces)
    node = scope.node
    walk.begin(node)
    body = node.child_by_field_name("body")
    walk.record.statements[0] = (_first_line(node), *walk.record.statements[0][1:])
    bases: tuple[str, ...] = ()
    walk.decorators(node)
    kind: UnitKind = "class"
    if scope.kind == "class_definition":
        given = node.child_by_field_name("superclasses")
        if given is not None:
            walk.bases(given)
            parts = (base for base in walk.parts(given) if base.type != "keyword_argument")
            bases = tuple(walk.text(base).rpartition(".")[2] for base in parts)
    else:
        kind = "method" if scope.parent and scope.parent.kind == "class_definition" else "function"
        given = node.child_by_field_name("parameters")
        if given is not None:
            walk.parameters(given)
    if body is not None:
        walk.block(body)
    parameters = tuple(name for name, _ in parameters_of(scope)) if kind != "class" else ()
    unit = Unit(
        file.syntax.source.path,
        scope.qualified,
        kind,
        _first_line(node),
        _last_line(scope),
        file.blob,
        parameters,
    )
    return _finished(walk, unit, bases)


def _finished(walk: Statements, unit: Unit, bases: tuple[str, ...] = ()) -> Fingerprint:
    record = walk.record
    return Fingerprint(
        unit,
        np.frombuffer(record.terms, np.int64).reshape(-1, 5),
        np.frombuffer(record.places, np.int32),
        np.array(record.statements, np.int32).reshape(-1, 4),
        tuple(record.names),
        np.frombuffer(record.nodes, np.int32),
        tuple(sorted(record.calls)),
        bases,
        walk.skipped,
    )


def _kept(term: Term) -> Term | None:
    """A module-level value that functions may see through: constants, aliases of APIs, tuples of them."""
    fact: Any = term.fact
    if fact is None:
        return None
    if fact[0] in _KEPT_FACTS:
        return term._replace(node=-1)
    if fact[0] == "elements":
        elements = [_kept(element) for element in fact[1]]
        if all(element is not None for element in elements):
            return term._replace(node=-1, fact=("elements", elements))
    return None


def _returned(scope: Scope) -> Node | None:
    """The expression of a function that does nothing but return it."""
    body = scope.node.child_by_field_name("body")
    if body is None or body.descendant_count > _HELPER_NODES or len(body.named_children) > 3:
        return None
    statements = [
        child for child in body.named_children if not child.is_extra and child.type != "assert_statement"
    ]
    if statements and statements[0].type == "expression_statement" and statements[0].named_children[:1]:
        first = statements[0].named_children[0].type
        statements = statements[1:] if first in ("string", "concatenated_string") else statements
    if len(statements) != 1 or statements[0].type != "return_statement":
        return None
    return next((child for child in statements[0].named_children if not child.is_extra), None)


def _first_line(node: Node) -> int:
    around = node.parent
    outer = around if around is not None and around.type == "decorated_definition" else node
    return outer.start_point[0] + 1


def _last_line(scope: Scope) -> int:
    row, column = scope.node.end_point
    return max(1, row + 1 if column else row)


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]
