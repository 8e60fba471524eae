"""Value numbering of what holds other values: literals, comprehensions, subscripts, closures."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from detector.fingerprint.call import Arguments, Calls
from detector.fingerprint.term import NONE, VARIABLE, Term, constant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

_ELLIPSIS = constant(...)


class Containers(Calls):
    """Expressions that build or take apart containers."""

    def sequence(self, node: Node) -> Term:
        """A list or tuple literal: one and the same."""
        elements = [self.value(part) for part in self.parts(node)]
        if not elements and node.type == "list":
            return VARIABLE._replace(fact=("list",))
        return self.operation("sequence", *elements, fact=("elements", elements))

    def set(self, node: Node) -> Term:
        """A set literal."""
        return self.unordered("set", [self.value(part) for part in self.parts(node)])

    def mapping(self, node: Node) -> Term:
        """A dictionary literal; `dict(a=1)` is `{"a": 1}`."""
        return self.unordered("mapping", [self.entry(part) for part in self.parts(node)])

    def entry(self, node: Node) -> Term:
        """`key: value` of a dictionary, or `**mapping`."""
        parts = [self.value(part) for part in self.parts(node)]
        return self.operation("entry", *parts) if len(parts) == 2 else (parts or [VARIABLE])[0]

    def collection(self, node: Node) -> Term:
        """A list comprehension or generator: what a loop with `append` collects."""
        with self.clauses(node) as body:
            return self.collected(self.value(body))

    def collected(self, element: Term) -> Term:
        """The list of all values that an element takes."""
        return self.operation("collect", element, fact=("list",))

    def set_collection(self, node: Node) -> Term:
        """A set comprehension."""
        with self.clauses(node) as body:
            return self.operation("collect set", self.value(body))

    def mapping_collection(self, node: Node) -> Term:
        """A dictionary comprehension."""
        with self.clauses(node) as body:
            return self.operation("collect mapping", self.entry(body))

    @contextmanager
    def clauses(self, node: Node) -> Iterator[Node]:
        """Walk `for` and `if` of a comprehension; its names live as long as the block."""
        body, *rest = self.parts(node)
        outer = dict(self.env)
        for clause in rest:
            parts = self.parts(clause)
            if clause.type == "for_in_clause" and len(parts) >= 2:
                self.iterate(parts[0], self.value(parts[1]))
            elif parts:
                self.conjuncts(parts[0])
        try:
            yield body
        finally:
            self.env = outer

    def conjuncts(self, node: Node) -> None:
        """Record a condition, each part of an `and` by itself."""
        while node.type == "parenthesized_expression" and len(self.parts(node)) == 1:
            node = self.parts(node)[0]
        if node.type == "boolean_operator" and any(child.type == "and" for child in node.children):
            for part in self.parts(node):
                self.conjuncts(part)
        else:
            self.test(node)

    def iterate(self, target: Node, source: Term) -> None:
        """Bind a loop's target to the elements of what it runs over."""
        call = source.fact
        parts = self.parts(target) if target.type in ("pattern_list", "tuple_pattern", "tuple") else []
        if call and call[0] == "enumerated" and len(parts) == 2:
            self.assign(parts[0], self.operation("index", call[1], fact=("index", call[1])))
            self.assign(parts[1], self.operation("each", call[1]))
        elif call and call[0] == "zipped" and len(parts) == len(call[1]):
            for part, element in zip(parts, call[1], strict=True):
                self.assign(part, self.operation("each", element))
        elif call and call[0] == "indices":
            self.assign(target, self.operation("index", call[1], fact=("index", call[1])))
        else:
            self.assign(target, self.operation("each", source))

    def assign(self, target: Node, value: Term) -> None:
        """Give a target a value; statements know the other forms of targets."""
        if target.type == "identifier":
            self.bind(self.text(target), value)
            return
        parts = self.parts(target)
        if target.type in ("pattern_list", "tuple_pattern", "list_pattern", "tuple", "list"):
            self.unpack(parts, value)
        elif target.type in ("list_splat_pattern", "list_splat", "parenthesized_expression") and parts:
            self.assign(parts[0], value)

    def unpack(self, targets: list[Node], value: Term) -> None:
        """`a, b = value`: element by element where they are known, else by position."""
        fact = value.fact
        if fact and fact[0] == "elements" and len(fact[1]) == len(targets):
            for target, element in zip(targets, fact[1], strict=True):
                self.assign(target, element)
            return
        for position, target in enumerate(targets):
            if self.text(target) != "_":
                self.assign(target, self.element(value, constant(position)))

    def item(self, node: Node) -> Term:
        """`x[i, j:k]`; a `None` among full slices is `unsqueeze`."""
        base, *indices = self.parts(node)
        target = self.value(base)
        if len(indices) == 1 and indices[0].type == "tuple":
            indices = self.parts(indices[0])
        values = [self.value(index) for index in indices]
        if len(values) == 1 and values[0].fact and values[0].fact[0] == "elements":
            values = values[0].fact[1]
        axis = _new_axis(values)
        if axis is not None:
            return self.bound(".unsqueeze", Arguments([target, constant(axis)], []))
        if len(values) == 1:
            return self.element(target, values[0])
        return self.operation("item", target, *values)

    def slice(self, node: Node) -> Term:
        """`start:stop:step`, absent parts as None."""
        bounds: list[Term] = [NONE, NONE, NONE]
        position = 0
        for child in node.children:
            if child.type == ":":
                position += 1
            elif not child.is_extra and position < 3:
                bounds[position] = self.value(child)
        if all(bound is NONE for bound in bounds):
            return VARIABLE._replace(fact=("all",))
        if bounds[0].fact == ("constant", 0):
            bounds[0] = NONE
        return self.operation("slice", *bounds)

    def closure(self, node: Node) -> Term:
        """A lambda: what its body computes from unknowns."""
        outer = dict(self.env)
        parts = self.parts(node)
        if parts[0].type == "lambda_parameters":
            for parameter in self.parts(parts[0]):
                names = [parameter] if parameter.type == "identifier" else self.parts(parameter)
                if len(names) > 1:
                    self.value(names[1])
                if names:
                    self.env[self.text(names[0])] = VARIABLE
        body = self.value(parts[-1])
        self.env = outer
        return self.operation("lambda", body)


def _new_axis(indices: list[Term]) -> int | None:
    """Position of the one new axis in `x[:, None]`, -1 for `x[..., None]`; None if it is no such thing."""
    new = [i for i, index in enumerate(indices) if index.fact == ("constant", None)]
    if len(new) != 1 or len(indices) < 1:
        return None
    rest = [index for i, index in enumerate(indices) if i != new[0]]
    if all(index.fact == ("all",) for index in rest):
        return new[0]
    if len(indices) == 2 and new[0] == 1 and indices[0].fact == _ELLIPSIS.fact:
        return -1
    return None
