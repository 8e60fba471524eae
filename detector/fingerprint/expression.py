"""Value numbering of expressions: each role of `roles.toml` under [expression] is a method here.

The method follows Alpern, Wegman and Zadeck (1988), "Detecting equality of variables in programs":
two expressions are one if the same operation is applied to equal values. A variable is the term that
defines it, so that temporaries, their names and the order of independent statements leave no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from detector.fingerprint.api import Api, api, concept, public
from detector.fingerprint.literal import number, string, unescaped
from detector.fingerprint.module import Module, own
from detector.fingerprint.term import VARIABLE, Record, Term, constant, digest

if TYPE_CHECKING:
    from tree_sitter import Node

    from detector.fingerprint.binding import Scope

_EVERYDAY = (
    *map(repr, (-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0)),
    "NoneType None",
    "str ''",
    "ellipsis Ellipsis",
)
_TRIVIAL = frozenset(digest(f"constant {text}") for text in _EVERYDAY)


@lru_cache(maxsize=4096)
def label(text: str) -> tuple[int, int]:
    """Exact and abstract hash of an operation of the language itself."""
    return digest(f"operation {text}"), concept(text)


class Expressions:
    """The value of each expression of one unit, recorded node by node."""

    def __init__(self, scope: Scope, module: Module, own_names: frozenset[str]) -> None:
        self.known: Api = api()
        self.scope = scope
        self.module = module
        self.own_names = own_names
        self.renamable = _renamable(own_names)
        self.locals = scope.names if scope.kind == "function_definition" else frozenset[str]()
        self.enclosing = [outer.names for outer in scope.path[1:-1] if outer.kind == "function_definition"]
        self.env: dict[str, Term] = self.subjects(scope)
        self.record = Record()
        self.pending: list[str] = []
        self.place = 0
        self.expression = roles(type(self))[0]  # type: ignore[arg-type]  # classes are hashable

    # Recording

    def node(
        self,
        name: tuple[int, int],
        exact1: Iterable[int],
        exact2: Iterable[int],
        parts: Iterable[Term],
        fact: Any = None,
    ) -> Term:
        """Record an operation. `exact1` and `exact2` are its operands' hashes in their meaningful order."""
        exact, abstract = name
        second = hash((exact, *exact1))
        third = hash((exact, *exact2))
        kept = [part for part in parts if part.abstract1]
        if len(kept) > 1:
            abstract2 = hash((abstract, *sorted([part.abstract1 for part in kept])))
            abstract3 = hash((abstract, *sorted([part.abstract2 for part in kept])))
        elif kept:
            abstract2 = hash((abstract, kept[0].abstract1))
            abstract3 = hash((abstract, kept[0].abstract2))
        else:
            abstract2 = abstract3 = hash((abstract,))
        index = self.row((exact, second, third, abstract2, abstract3))
        if self.pending:
            self.record.names.extend(self.pending)
            self.record.nodes.extend([index] * len(self.pending))
            self.pending.clear()
        return Term(exact, second, abstract, abstract2, fact, index)

    def row(self, hashes: tuple[int, int, int, int, int]) -> int:
        """Record the hashes of a node under the present statement; its index."""
        record = self.record
        index = len(record.places)
        record.terms.extend(hashes)
        record.places.append(self.place)
        return index

    def operation(self, text: str, *parts: Term, fact: Any = None) -> Term:
        """An operation with operands in order."""
        return self.node(
            label(text), [part.exact1 for part in parts], [part.exact2 for part in parts], parts, fact
        )

    def unordered(self, text: str, parts: Iterable[Term], fact: Any = None) -> Term:
        """An operation whose operands may stand in any order."""
        parts = list(parts)
        return self.node(
            label(text), sorted([p.exact1 for p in parts]), sorted([p.exact2 for p in parts]), parts, fact
        )

    # Values

    def value(self, node: Node) -> Term:
        """The term of an expression node; opaque nodes are an operation on the values of their parts."""
        role = self.expression.get(node.type)
        if role is not None:
            term: Term = role(self, node)
            return term
        return self.operation(node.type, *map(self.value, node.named_children))

    def text(self, node: Node) -> str:
        """The text of a node. One character of `module.source` is one byte, so that nothing is searched."""
        written = self.module.source[node.start_byte : node.end_byte]
        return written if written.isascii() else written.encode("latin-1").decode("utf-8", "replace")

    def split(self, node: Node) -> tuple[Node, str]:
        """Object and attribute name of `object.attribute`."""
        children = node.children
        return children[0], self.text(children[-1])

    def parts(self, node: Node) -> list[Node]:
        """Named children without comments and line continuations."""
        children = node.named_children
        if node.id in self.module.interrupted:
            return [child for child in children if not child.is_extra]
        return children

    def nothing(self, node: Node) -> Term:
        """What carries no value: comments, types, text that did not parse."""
        return VARIABLE

    def inner(self, node: Node) -> Term:
        """Parentheses, `*x`, `await x`: the value inside."""
        parts = self.parts(node)
        return self.value(parts[0]) if parts else VARIABLE

    def produced(self, node: Node) -> Term:
        """`yield x`."""
        return self.operation("yield", *map(self.value, self.parts(node)))

    def name(self, node: Node) -> Term:
        """An identifier, looked up by the rules of scopes."""
        return self.named(self.text(node))

    def named(self, name: str) -> Term:
        """The value of a name, which is noted where a copier could choose another."""
        term = self.env.get(name) or self.lookup(name)
        if term.fact is None or term.fact[0] not in ("api", "constant"):
            self.pending.append(name)
        return term

    def lookup(self, name: str) -> Term:  # noqa: PLR0911  one for each kind of scope
        """The value of a name: of this scope, the functions around, the module, the builtins."""
        term = self.env.get(name)
        if term is not None:
            return term
        if name in self.locals:
            return VARIABLE
        for names in self.enclosing:
            if name in names:
                return VARIABLE
        term = self.module.values.get(name)
        if term is not None:
            return self.recalled(term)
        if name in self.known.builtins:
            return public(name)
        if self.module.stars and name not in self.own_names and name not in self.module.bound:
            return public(f"*.{name}")
        return VARIABLE

    def recalled(self, term: Term) -> Term:
        """A module's constant where it is used, recorded as if it were written there."""
        fact = term.fact
        if fact[0] == "constant":
            return self.constant(fact[1])
        if fact[0] == "elements":
            return self.operation("sequence", *map(self.recalled, fact[1]), fact=fact)
        return term

    def subjects(self, scope: Scope) -> dict[str, Term]:
        """The objects on whose behalf a function works, as values: a method's receiver, also of a method
        around, and each parameter that is asked for an attribute of the repository's own.
        """
        found: dict[str, Term] = {}
        for outer in scope.path:
            if outer.kind == "function_definition":
                found = {name: term for name, term in found.items() if name not in outer.names}
                for name, asked in outer.parameters.items():
                    if name == outer.subject or not asked.isdisjoint(self.renamable):
                        found[name] = VARIABLE._replace(fact=("subject", name))
        return found

    def subject(self, name: str) -> str | None:
        """Which subject a name stands for; None where it is another value."""
        term = self.env.get(name)
        return term.fact[1] if term is not None and term.fact and term.fact[0] == "subject" else None

    def member(self, node: Node) -> Term:
        """`object.attribute`, read."""
        target, attribute = self.split(node)
        if target.type != "identifier":
            return self.attribute_of(self.value(target), attribute)
        name = self.text(target)
        subject = self.subject(name)
        if subject is None:
            return self.attribute_of(self.named(name), attribute)
        self.pending.append(f".{attribute}")
        known = self.env.get(f"{subject}.{attribute}")
        if known is not None:
            return known
        return VARIABLE if attribute in self.own_names else self.attribute(attribute, VARIABLE)

    def attribute_of(self, base: Term, attribute: str) -> Term:
        """An attribute of a value: of an outside module, of the repository's own, of an object."""
        fact = base.fact
        if fact is not None:
            if fact[0] == "api":
                return public(f"{fact[1]}.{attribute}")
            if fact[0] == "own":
                self.pending.append(attribute)
                return own(attribute)
        if attribute in self.renamable:
            self.pending.append(f".{attribute}")
            return VARIABLE
        return self.attribute(attribute, base)

    def attribute(self, attribute: str, base: Term) -> Term:
        """An attribute that the outside defines."""
        name = public(f".{attribute}")
        return self.node((name.exact1, name.abstract1), [base.exact1], [base.exact2], [base])

    def element(self, base: Term, index: Term) -> Term:
        """`base[index]`; an element at a loop's own index is the loop's element."""
        if index.fact and index.fact[0] == "index" and index.fact[1].exact2 == base.exact2:
            return self.operation("each", base)
        if base.fact and base.fact[0] == "elements" and index.fact and index.fact[0] == "constant":
            position = index.fact[1]
            if isinstance(position, int) and -len(base.fact[1]) <= position < len(base.fact[1]):
                return base.fact[1][position]  # type: ignore[no-any-return]
        return self.operation("item", base, index)

    def store(self, base: Term, name: str, value: Term) -> Term:
        """`object.name = value`."""
        if name in self.renamable:
            self.pending.append(f".{name}")
            return self.operation("store own", base, value)
        return self.operation("store", self.attribute(name, base), value)

    def literal(self, node: Node) -> Term:
        """True, False, None, `...`."""
        return constant({"True": True, "False": False, "None": None}.get(self.text(node), ...))

    def number(self, node: Node) -> Term:
        """A number, by value."""
        return self.constant(number(self.text(node)))

    def constant(self, found: Any) -> Term:
        """A literal value; recorded unless it is one that everybody uses."""
        term = constant(found)
        if term.exact1 in _TRIVIAL:
            return term
        return Term(*term[:5], self.row((term.exact1,) * 5))

    def string(self, node: Node) -> Term:
        """A string by its value, or an f-string as an operation on what it interpolates."""
        children = node.children
        if len(children) == 3 and children[1].type == "string_content":
            return self.constant(string(self.text(node)))
        return self.joined([node])

    def string_run(self, node: Node) -> Term:
        """Adjacent string literals are one."""
        return self.joined(self.parts(node))

    def joined(self, nodes: list[Node]) -> Term:
        """The value of string literals in a row."""
        pieces: list[Any] = []
        values: list[Term] = []
        for node in nodes:
            prefix = ""
            for child in node.children:
                if child.type == "string_content":
                    pieces.append(unescaped(self.text(child), prefix))
                elif child.type == "interpolation":
                    if any(part.type == "=" for part in child.children):
                        pieces.append(f"{self.text(self.parts(child)[0])}=")
                    values.append(self.inner(child))
                elif child.type == "string_start":
                    prefix = self.text(child).rstrip("\"'").lower()
            if not pieces:
                pieces.append(b"" if "b" in prefix else "")
        if len({type(piece) for piece in pieces}) > 1:
            pieces = [str(piece) for piece in pieces]
        body = type(pieces[0])().join(pieces)
        return self.operation("format", *values, constant(body)) if values else self.constant(body)

    def binding(self, node: Node) -> Term:
        """`(name := value)`."""
        target, source = self.parts(node)[:2]
        value = self.value(source)
        self.bind(self.text(target), value)
        return value

    def bind(self, name: str, value: Term) -> None:
        """Let a name stand for a value from here on."""
        self.env[name] = value
        if value.node >= 0:
            self.record.names.append(name)
            self.record.nodes.append(value.node)


Role = Callable[[Any, "Node"], Any]


@lru_cache(maxsize=4)
def roles(walk: type) -> tuple[dict[str, Role], dict[str, Role]]:
    """The methods of a walk by node type: for expressions, and for statements."""
    known = api()
    return (
        {kind: getattr(walk, role) for kind, role in known.expression.items()},
        {kind: getattr(walk, role) for kind, role in known.statement.items()},
    )


@lru_cache(maxsize=8)
def _renamable(own_names: frozenset[str]) -> frozenset[str]:
    """Attributes and methods that a repository defines, and that no array, container or framework has."""
    known = api()
    return own_names - known.receivers - known.containers - known.hooks
