"""Value numbering of statements: each role of `roles.toml` under [statement] is a method here.

The walk is forward and takes every branch once: where branches meet, a name stands for a choice between
their values (the phi functions of Cytron et al. 1991, with the test kept); a loop's body is walked once.
Docstrings, annotations, assertions, logging and imports leave nothing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from detector.fingerprint.api import Api
from detector.fingerprint.call import Helpers
from detector.fingerprint.container import Containers
from detector.fingerprint.expression import roles
from detector.fingerprint.module import Module, own
from detector.fingerprint.term import NONE, VARIABLE, Term

if TYPE_CHECKING:
    from tree_sitter import Node

    from detector.fingerprint.binding import Scope

_COMPOUND = {
    "if_statement",
    "elif_clause",
    "else_clause",
    "for_statement",
    "while_statement",
    "with_statement",
    "try_statement",
    "except_clause",
    "except_group_clause",
    "finally_clause",
    "match_statement",
    "case_clause",
    "function_definition",
    "class_definition",
}
"""statements with a body of others"""


class Statements(Containers):
    """All statements of one unit."""

    def __init__(self, scope: Scope, module: Module, own_names: frozenset[str], helper_of: Helpers) -> None:
        super().__init__(scope, module, own_names, helper_of)
        self.statement = roles(type(self))[1]  # type: ignore[arg-type]  # classes are hashable
        self.skipped = 0

    def run(self, node: Node) -> bool:
        """Walk one statement; true if control leaves the block here. One nested too deeply is passed over."""
        role = self.statement.get(node.type)
        if role is Statements.skip:
            return False
        if role is not Statements.block:
            self.begin(node)
        try:
            return bool(role(self, node)) if role is not None else self.parts_of(node)
        except RecursionError:
            self.skipped += 1
            return False

    def begin(self, node: Node) -> None:
        """Open a statement: what follows is recorded under its place (the head's, where it has a body)."""
        self.place = len(self.record.statements)
        self.record.statements.append(_place(node))
        self.pending.clear()

    def parts_of(self, node: Node) -> bool:
        """A statement without a role: its parts count."""
        for part in self.parts(node):
            if part.type in self.statement:
                self.run(part)
            else:
                self.value(part)
        return False

    def evaluated(self, node: Node) -> bool:
        """`raise x`, `del x`: the values, nothing more."""
        for part in self.parts(node):
            self.value(part)
        return node.type == "raise_statement"

    def skip(self, node: Node) -> bool:
        """What leaves no trace."""
        return False

    def leave(self, node: Node) -> bool:
        """`break`, `continue`."""
        return True

    def block(self, node: Node) -> bool:
        """Statements in a row, up to where control leaves."""
        left = False
        for child in node.named_children:
            left = self.run(child) or left
        return left

    def definition(self, node: Node) -> bool:
        """A nested function or class is a unit of its own; its decorators belong to that unit."""
        inner = node.child_by_field_name("definition") or node
        name = inner.child_by_field_name("name")
        if name is not None:
            self.env[self.text(name)] = own(self.text(name))
        return False

    # Effects and assignments

    def effect(self, node: Node) -> bool:
        """An expression for its effect, or an assignment."""
        for part in self.parts(node):
            role = self.statement.get(part.type)
            if role is not None:
                role(self, part)
            elif part.type in ("tuple", "expression_list"):
                for element in self.parts(part):
                    self.value(element)
            elif part.type == "call":
                self.effective_call(part)
            elif part.type not in ("string", "concatenated_string"):
                self.value(part)
        return False

    def effective_call(self, node: Node) -> None:
        """A call as a statement: messages to people vanish, `x.append(y)` makes x a collection."""
        parts = self.parts(node)
        function, given = parts[0], parts[-1]
        if self.is_silent(function, given):
            return
        if function.type == "attribute":
            target, name = self.split(function)
            known = self.env.get(self.text(target)) if target.type == "identifier" else None
            if name == "append" and known is not None and known.fact == ("list",):
                values = self.arguments(given).positional
                if len(values) == 1:
                    self.bind(self.text(target), self.collected(values[0]))
                    return
        self.value(node)

    def is_silent(self, function: Node, given: Node) -> bool:
        """Does the call only tell a person something?"""
        if function.type == "identifier":
            fact = self.lookup(self.text(function)).fact
            return bool(fact and fact[0] == "api" and fact[1] in self.known.silent_calls)
        if function.type != "attribute":
            return False
        target, name = self.split(function)
        if name not in _speaking(self.known):
            return False
        mark = len(self.record.places)
        base = self.value(target) if target.type in ("identifier", "attribute") else VARIABLE
        del self.record.places[mark:], self.record.terms[mark * 5 :]
        self.pending.clear()
        if base.fact and base.fact[0] == "api":
            dotted = f"{base.fact[1]}.{name}"
            return dotted in self.known.silent_calls or dotted.startswith(
                tuple(f"{module}." for module in self.known.silent_modules)
            )
        if base.fact == ("logger",):
            return True
        first = next(iter(self.parts(given)), None)
        said = first is not None and first.type in ("string", "concatenated_string")
        return name in self.known.logger_methods and said and base[:4] == VARIABLE[:4]

    def assignment(self, node: Node) -> bool:
        """`a = b = value`, with or without an annotation."""
        targets: list[Node] = []
        source: Node | None = node
        while source is not None and source.type == "assignment":
            left = source.child_by_field_name("left")
            if left is not None:
                targets.append(left)
            source = source.child_by_field_name("right")
        if source is None:
            return False
        if source.type == "augmented_assignment":
            self.update(source)
            return False
        values = self.elements(source, targets)
        if values is not None:
            self.unpack(self.parts(targets[0]), VARIABLE._replace(fact=("elements", values)))
            return False
        value = self.value(source)
        for target in targets:
            self.assign(target, value)
        return False

    def elements(self, source: Node, targets: list[Node]) -> list[Term] | None:
        """Values of `a, b = x, y`, which is two assignments and builds no tuple."""
        kinds = ("expression_list", "tuple", "list")
        if (
            len(targets) != 1
            or source.type not in kinds
            or targets[0].type not in ("pattern_list", "tuple_pattern", "list_pattern")
        ):
            return None
        if len(self.parts(source)) != len(self.parts(targets[0])):
            return None
        return [self.value(part) for part in self.parts(source)]

    def assign(self, target: Node, value: Term) -> None:
        """Also attributes and items are targets."""
        if target.type == "attribute":
            base, name = self.split(target)
            subject = self.subject(self.text(base)) if base.type == "identifier" else None
            if subject is not None:
                self.env[f"{subject}.{name}"] = value
                if value.node >= 0:
                    self.record.names.append(f".{name}")
                    self.record.nodes.append(value.node)
            else:
                self.store(self.value(base), name, value)
        elif target.type == "subscript":
            self.operation("store", self.item(target), value)
        else:
            super().assign(target, value)

    def update(self, node: Node) -> bool:
        """`a += b` is `a = a + b`."""
        target, value = node.child_by_field_name("left"), node.child_by_field_name("right")
        operator = node.child_by_field_name("operator")
        if target is None or value is None or operator is None:
            return False
        left = self.value(target)
        self.assign(target, self.operate(self.text(operator).rstrip("="), left, self.value(value)))
        return False

    def result(self, node: Node) -> bool:
        """`return value`; a choice is two returns under a test."""
        parts = self.parts(node)
        if parts:
            self.returned(parts[0])
        return True

    def returned(self, node: Node) -> None:
        """Record what is returned, on every way there."""
        while node.type == "parenthesized_expression" and len(self.parts(node)) == 1:
            node = self.parts(node)[0]
        if node.type == "conditional_expression":
            then, condition, otherwise = self.parts(node)[:3]
            self.conjuncts(condition)
            self.returned(then)
            self.returned(otherwise)
            return
        value = self.value(node)
        if value.exact2 != VARIABLE.exact2 and value.exact1 != NONE.exact1:
            self.operation("return", value)

    # Control

    def branch(self, node: Node) -> bool:
        """`if` with its `elif` and `else`."""
        condition, body = node.child_by_field_name("condition"), node.child_by_field_name("consequence")
        if condition is None or body is None:
            return self.parts_of(node)
        return self.decide(condition, body, node.children_by_field_name("alternative"))

    def decide(self, condition: Node, body: Node, alternatives: list[Node]) -> bool:
        """One test and what hangs on it; what either side leaves behind is joined."""
        if condition.type in ("identifier", "attribute") and self.text(condition) in self.known.guards:
            return False
        test, negated = self.test_of(condition)
        before = dict(self.env)
        left = self.block(body)
        after = self.env
        self.env = before
        left_too = False
        if alternatives:
            first, *rest = alternatives
            self.begin(first)
            inner = first.child_by_field_name("body") or first.child_by_field_name("consequence")
            nested = first.child_by_field_name("condition")
            if inner is not None:
                left_too = self.decide(nested, inner, rest) if nested is not None else self.block(inner)
        if left and not left_too:
            return False
        if left_too and not left:
            self.env = after
            return False
        self.env = self.join(test, self.env, after) if negated else self.join(test, after, self.env)
        return left and left_too

    def test_of(self, condition: Node) -> tuple[Term, bool]:
        """The condition's value; each conjunct recorded by itself."""
        while condition.type == "parenthesized_expression" and len(self.parts(condition)) == 1:
            condition = self.parts(condition)[0]
        if condition.type == "boolean_operator" and any(c.type == "and" for c in condition.children):
            tests = []
            for part in self.parts(condition):
                tests.append(self.test_of(part)[0])
            return Term(
                hash(tuple(sorted(t.exact1 for t in tests))),
                hash(tuple(sorted(t.exact2 for t in tests))),
                tests[0].abstract1,
                hash(tuple(sorted(t.abstract2 for t in tests))),
            ), False
        return self.test(condition)

    def join(self, test: Term, then: dict[str, Term], otherwise: dict[str, Term]) -> dict[str, Term]:
        """Values after two ways meet: a choice where they differ."""
        joined = dict(then)
        for name, value in otherwise.items():
            other = then.get(name)
            if other is None:
                joined[name] = value
            elif other is not value and other != value:
                leaves = not (other.abstract1 or value.abstract1)
                fact = ("list",) if other.fact == value.fact == ("list",) else None
                chosen = VARIABLE if leaves and fact else self.choose(test, other, value)
                joined[name] = chosen._replace(fact=fact) if fact else chosen
        return joined

    def iteration(self, node: Node) -> bool:
        """`for target in source`."""
        target, source = node.child_by_field_name("left"), node.child_by_field_name("right")
        body = node.child_by_field_name("body")
        if target is None or source is None or body is None:
            return self.parts_of(node)
        self.iterate(target, self.value(source))
        self.block(body)
        return self.otherwise(node)

    def otherwise(self, node: Node) -> bool:
        """The `else` of a loop."""
        last = node.child_by_field_name("alternative")
        body = last.child_by_field_name("body") if last else None
        if body is not None:
            self.block(body)
        return False

    def repetition(self, node: Node) -> bool:
        """`while test`."""
        condition, body = node.child_by_field_name("condition"), node.child_by_field_name("body")
        if condition is not None:
            self.conjuncts(condition)
        if body is not None:
            self.block(body)
        return self.otherwise(node)

    def context(self, node: Node) -> bool:
        """`with value as target`."""
        for clause in self.parts(node):
            if clause.type == "block":
                return self.block(clause)
            for item in self.parts(clause):
                self.entered(self.parts(item)[0] if item.type == "with_item" else item)
        return False

    def entered(self, node: Node) -> None:
        """One context manager."""
        parts = self.parts(node) if node.type == "as_pattern" else [node]
        value = self.operation("with", self.value(parts[0]))
        if len(parts) > 1:
            for target in self.parts(parts[1]):
                self.assign(target, value)

    def attempt(self, node: Node) -> bool:
        """`try`: all its ways in a row."""
        left = False
        for child in self.parts(node):
            *caught, body = [child] if child.type == "block" else self.parts(child) or [child]
            for position, part in enumerate(caught):
                if not (position and self.is_unknown(part)):
                    self.caught(part)
            leaves = self.block(body)
            left = leaves if child.type in ("block", "finally_clause") else left
        return left

    def is_unknown(self, node: Node) -> bool:
        """Is this a name that nothing defines? In `except E, name` of Python 2 it is the target."""
        return node.type == "identifier" and self.lookup(self.text(node)) is VARIABLE

    def caught(self, node: Node) -> None:
        """What an `except` clause names; tuples are several names."""
        parts = self.parts(node) if node.type == "as_pattern" else [node]
        values = self.parts(parts[0]) if parts[0].type == "tuple" else [parts[0]]
        for value in values:
            self.operation("except", self.value(value))
        for target in parts[1:]:
            for name in self.parts(target) or [target]:
                self.env[self.text(name)] = VARIABLE

    def cases(self, node: Node) -> bool:
        """`match`: the subject, the guards and the bodies."""
        for part in self.parts(node):
            if part.type != "block":
                self.operation("match", self.value(part))
                continue
            for clause in self.parts(part):
                guard = clause.child_by_field_name("guard")
                body = clause.child_by_field_name("consequence")
                if guard is not None:
                    self.conjuncts(self.parts(guard)[0])
                if body is not None:
                    self.block(body)
        return False

    # Units

    def decorators(self, node: Node) -> None:
        """Decorators of the outside; `@no_grad()` is `with no_grad()`."""
        around = node.parent
        if around is not None and around.type == "decorated_definition":
            for child in self.parts(around):
                if child.type == "decorator":
                    value = self.inner(child)
                    if value.abstract1 and not (value.fact and value.fact[1:] in _STRUCTURAL):
                        self.operation("with", value)

    def parameters(self, node: Node) -> None:
        """Parameters are unknowns; their defaults are values of the unit."""
        for parameter in self.parts(node):
            value = parameter.child_by_field_name("value")
            if value is not None:
                self.value(value)

    def bases(self, node: Node) -> None:
        """What a class is made from."""
        for base in self.parts(node):
            if base.type != "keyword_argument":
                value = self.value(base)
                if value.abstract1:
                    self.operation("base", value)


@lru_cache(maxsize=4)
def _speaking(known: Api) -> frozenset[str]:
    """Last names of the calls that may do no more than tell a person something."""
    return known.logger_methods | {call.rpartition(".")[2] for call in known.silent_calls}


_STRUCTURAL = {("staticmethod",), ("classmethod",), ("property",)}


def _place(node: Node) -> tuple[int, int, int, int]:
    """First and last line of a statement, from 1, its first byte in the one and its end in the other.

    One with a body ends at its colon: what follows it in the same line is a statement of its own.
    """
    (first, start), (last, end) = node.start_point, node.end_point
    if node.type in _COMPOUND:
        last, end = next((part.end_point for part in node.children if part.type == ":"), (last, end))
    return first + 1, last + 1, start, end
