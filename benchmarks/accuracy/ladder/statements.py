"""Level 2: statements in another order, assignments split and merged, temporaries, constants."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from benchmarks.accuracy.ladder.effect import effect, independent
from benchmarks.accuracy.ladder.rewrite import (
    BlockRewrite,
    Book,
    Rewrite,
    Statement,
    code,
    named,
    parsed,
    small,
    value_of,
)

_PLAIN = (cst.Name, cst.SimpleString, cst.Integer, cst.Float)


class Swap(BlockRewrite):
    """Two neighbours that do not depend on each other change places."""

    def block(self, statements: list[Statement]) -> Sequence[Statement]:
        """Bubble some statements down."""
        at = 0
        while at + 1 < len(statements):
            first, second = statements[at], statements[at + 1]
            if named(first) and named(second) and independent(code(first), code(second)) and self.drawn():
                statements[at : at + 2] = [second, first]
                at += 1
            at += 1
        return statements


class Split(BlockRewrite):
    """`a, b = x, y` becomes `a = x` and `b = y`, unless y reads a."""

    def block(self, statements: list[Statement]) -> Sequence[Statement]:
        """Split tuple assignments."""
        return [part for statement in statements for part in self._split(statement)]

    def _split(self, statement: Statement) -> list[Statement]:
        inner = small(statement)
        if not isinstance(inner, cst.Assign) or len(inner.targets) != 1:
            return [statement]
        target, value = inner.targets[0].target, inner.value
        if not (isinstance(target, cst.Tuple) and isinstance(value, cst.Tuple)):
            return [statement]
        names = [code(element.value) for element in target.elements]
        values = [code(element.value) for element in value.elements]
        plain = all(isinstance(element.value, cst.Name) for element in target.elements)
        starred = any(isinstance(element, cst.StarredElement) for element in value.elements)
        if not plain or starred or len(names) != len(values) or not self.drawn():
            return [statement]
        if any(name in effect(later).reads for at, name in enumerate(names) for later in values[at + 1 :]):
            return [statement]
        return [row for name, text in zip(names, values, strict=True) for row in parsed(f"{name} = {text}")]


class Merge(BlockRewrite):
    """`a = x` and `b = y` become `a, b = x, y`, unless y reads a or might look at it."""

    def block(self, statements: list[Statement]) -> Sequence[Statement]:
        """Merge neighbours."""
        at = 0
        while at + 1 < len(statements):
            first, second = named(statements[at]), named(statements[at + 1])
            apart = first and second and first[0] != second[0] and not self._looks(second[1], first[0])
            if first and second and apart and self.drawn(0.4):
                text = f"{first[0]}, {second[0]} = ({code(first[1])}), ({code(second[1])})"
                statements[at : at + 2] = parsed(text)
            at += 1
        return statements

    def _looks(self, value: cst.BaseExpression, name: str) -> bool:
        found = effect(code(value))
        return name in found.reads or not found.closed or "yield" in code(value)


class Temporary(BlockRewrite):
    """A returned value, or the first argument of a call, gets a name first."""

    def block(self, statements: list[Statement]) -> Sequence[Statement]:
        """Name some values."""
        return [part for statement in statements for part in self._named(statement)]

    def _named(self, statement: Statement) -> list[Statement]:
        found = value_of(statement)
        if not found or not self.drawn(0.5):
            return [statement]
        head, value = found
        if isinstance(value, cst.Call) and value.args and effect(code(value.func)).calm:
            first = value.args[0]
            if not (first.star or first.keyword or isinstance(first.value, (*_PLAIN, cst.GeneratorExp))):
                name = self.book.fresh()
                pulled = value.with_changes(args=(first.with_changes(value=cst.Name(name)), *value.args[1:]))
                return [*parsed(f"{name} = ({code(first.value)})"), *parsed(f"{head} {code(pulled)}")]
        if head == "return" and not isinstance(value, _PLAIN):
            name = self.book.fresh()
            return [*parsed(f"{name} = ({code(value)})"), *parsed(f"return {name}")]
        return [statement]


class Substitute(cst.CSTTransformer):
    """Put an expression in place of a name."""

    def __init__(self, values: dict[str, cst.BaseExpression]) -> None:
        super().__init__()
        self.values = values
        self.passed_over: set[cst.CSTNode] = set()

    def visit_Attribute(self, node: cst.Attribute) -> None:
        """The attribute's name is no variable."""
        self.passed_over.add(node.attr)

    def visit_Arg(self, node: cst.Arg) -> None:
        """A keyword is no variable."""
        if node.keyword:
            self.passed_over.add(node.keyword)

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        """Substitute."""
        value = None if original_node in self.passed_over else self.values.get(original_node.value)
        return cst.parse_expression(f"({code(value)})") if value is not None else updated_node


class InlineTemporary(BlockRewrite):
    """A name that is used once, in the very next statement, gives way to its value."""

    def block(self, statements: list[Statement]) -> Sequence[Statement]:
        """Inline some values."""
        at = 0
        while at + 1 < len(statements):
            found, following = named(statements[at]), statements[at + 1]
            if found and self._serves_once(found[0], code(statements[at]), following) and self.drawn():
                new = following.visit(Substitute({found[0]: found[1]}))
                assert isinstance(new, cst.SimpleStatementLine)
                statements[at : at + 2] = [new]
                continue
            at += 1
        return statements

    def _serves_once(self, name: str, text: str, following: Statement) -> bool:
        target = value_of(following)
        if self.uses[name] != 2 or not target or effect(code(target[1])).uses[name] != 1:
            return False
        if isinstance(target[1], cst.Name):
            return True
        return effect(text).calm and effect(code(target[1])).calm


class Augment(BlockRewrite):
    """`n += x` becomes `n = n + x` and back, for names that only ever hold numbers."""

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        """Find the names that start as a number."""
        if len(self.functions) == 1:
            texts = [line.strip().partition(" = ") for line in code(node).split("\n")]
            given = {(name, value) for name, mark, value in texts if mark and name.isidentifier()}
            others = {
                name for name, value in given if not _is_number(value) and not value.startswith(f"{name} ")
            }
            self.numbers = {name for name, value in given if _is_number(value)} - others

    def block(self, statements: list[Statement]) -> Sequence[Statement]:
        """Rewrite both ways."""
        return [part for statement in statements for part in self._other(statement)]

    def _other(self, statement: Statement) -> list[Statement]:
        inner, found = small(statement), named(statement)
        if (
            isinstance(inner, cst.AugAssign)
            and isinstance(inner.target, cst.Name)
            and inner.target.value in self.numbers
            and self.drawn()
        ):
            name, sign = inner.target.value, code(inner.operator).strip().removesuffix("=")
            return parsed(f"{name} = {name} {sign} ({code(inner.value)})")
        if found and found[0] in self.numbers and isinstance(found[1], cst.BinaryOperation):
            left, operator = found[1].left, code(found[1].operator).strip()
            if isinstance(left, cst.Name) and left.value == found[0] and self.drawn():
                return parsed(f"{found[0]} {operator}= ({code(found[1].right)})")
        return [statement]


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace("-", "", 1).isdigit()


class NameConstant(BlockRewrite):
    """A number inside an expression gets a name just before."""

    def block(self, statements: list[Statement]) -> Sequence[Statement]:
        """Name some numbers."""
        return [part for statement in statements for part in self._named(statement)]

    def _named(self, statement: Statement) -> list[Statement]:
        found = value_of(statement)
        if not found or not effect(code(found[1])).calm or not self.drawn(0.3):
            return [statement]
        finder = _Numbers()
        found[1].visit(finder)
        if not finder.numbers:
            return [statement]
        number, name = finder.numbers[0], self.book.fresh()
        new = found[1].deep_replace(number, cst.Name(name))
        assert isinstance(new, cst.CSTNode)
        return [*parsed(f"{name} = {code(number)}"), *parsed(f"{found[0]} {code(new)}")]


class _Numbers(cst.CSTVisitor):
    """Numbers of more than one digit, so that no index is named."""

    def __init__(self) -> None:
        self.numbers: list[cst.BaseNumber] = []

    def visit_Integer(self, node: cst.Integer) -> None:
        if len(node.value) > 1:
            self.numbers.append(node)

    def visit_Float(self, node: cst.Float) -> None:
        self.numbers.append(node)

    def visit_FormattedString(self, node: cst.FormattedString) -> bool:
        return False


class InlineConstant(Rewrite):
    """A module-level number that is bound once is written out where functions use it."""

    def __init__(self, book: Book) -> None:
        super().__init__(book)
        self.constants: dict[str, cst.BaseExpression] = {}

    def visit_Module(self, node: cst.Module) -> None:
        """Find the numbers."""
        text = node.code
        bound = effect(text)
        for statement in node.body:
            found = named(statement)
            if not found or not isinstance(found[1], cst.BaseNumber):
                continue
            once = text.count(f"{found[0]} =") == 1 and f"global {found[0]}" not in text
            if once and bound.uses[found[0]] > 1:
                self.constants[found[0]] = found[1]

    def leave_FunctionDef(
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.BaseStatement:
        """Write them out."""
        used = effect(code(original_node.body))
        chosen = {n: v for n, v in self.constants.items() if n in used.reads - used.writes and self.drawn()}
        if not chosen or len(self.functions) > 1:
            return updated_node
        body = updated_node.body.visit(Substitute(chosen))
        return updated_node.with_changes(body=body)
