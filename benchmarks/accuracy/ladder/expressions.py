"""Level 3: the same values by other expressions (those of library calls are in apis.py)."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst
import libcst.matchers as m

from benchmarks.accuracy.ladder.effect import effect
from benchmarks.accuracy.ladder.rewrite import (
    BlockRewrite,
    Rewrite,
    Statement,
    code,
    named,
    parsed,
    value_of,
)

_OPPOSITE = {"is": "is not", "is not": "is", "in": "not in", "not in": "in"}
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}


class ComprehensionToLoop(BlockRewrite):
    """`v = [e for t in s if c]` becomes a loop that appends, if t has no other use in the function."""

    def block(self, statements: list[Statement]) -> Sequence[Statement]:
        """Write out some comprehensions."""
        return [part for statement in statements for part in self._looped(statement)]

    def _looped(self, statement: Statement) -> list[Statement]:
        found = value_of(statement)
        if not found or not isinstance(found[1], cst.ListComp) or not self.drawn():
            return [statement]
        head, value = found[0], cst.ensure_type(found[1], cst.ListComp)
        loop = value.for_in
        targets, inside = effect(f"{code(loop.target)} = 0").writes, effect(code(value))
        name = self.book.fresh() if head == "return" else head.removesuffix(" =")
        lonely = all(self.uses[target] == inside.uses[target] for target in targets)
        if loop.inner_for_in or loop.asynchronous or not inside.closed or name in inside.uses or not lonely:
            return [statement]
        lines = [f"{name} = []", f"for {code(loop.target)} in ({code(loop.iter)}):"]
        for depth, test in enumerate(loop.ifs, 1):
            lines.append(f"{'    ' * depth}if {code(test.test)}:")
        lines.append(f"{'    ' * (len(loop.ifs) + 1)}{name}.append({code(value.elt)})")
        lines += [f"return {name}"] if head == "return" else []
        return parsed("\n".join(lines))


class LoopToComprehension(BlockRewrite):
    """`v = []` and a loop that does nothing but append become a comprehension."""

    def block(self, statements: list[Statement]) -> Sequence[Statement]:
        """Condense some loops."""
        at = 0
        while at + 1 < len(statements):
            text = self._condensed(statements[at], statements[at + 1])
            if text and self.drawn():
                statements[at : at + 2] = parsed(text)
            at += 1
        return statements

    def _condensed(self, first: Statement, loop: Statement) -> str:
        found = named(first)
        if not found or not m.matches(found[1], m.List(elements=[])):
            return ""
        if not isinstance(loop, cst.For) or loop.orelse or loop.asynchronous:
            return ""
        inner, tests = loop.body.body, ""
        while len(inner) == 1 and isinstance(inner[0], cst.If) and not inner[0].orelse:
            tests += f" if ({code(inner[0].test)})"
            inner = inner[0].body.body
        if len(inner) != 1 or not isinstance(inner[0], cst.SimpleStatementLine):
            return ""
        effective = inner[0].body[0]
        append = m.Attribute(value=m.Name(found[0]), attr=m.Name("append"))
        appending = m.Expr(m.Call(func=append, args=[m.Arg(star="", keyword=None)]))
        if not m.matches(effective, appending):
            return ""
        call = cst.ensure_type(cst.ensure_type(effective, cst.Expr).value, cst.Call)
        text = f"[({code(call.args[0].value)}) for {code(loop.target)} in ({code(loop.iter)}){tests}]"
        inside, targets = effect(text), effect(f"{code(loop.target)} = 0").writes
        lonely = all(self.uses[t] == effect(code(loop)).uses[t] for t in targets)
        plain = inside.closed and not inside.leaves and ":=" not in text and "super()" not in text
        return f"{found[0]} = {text}" if found[0] not in inside.uses and lonely and plain else ""


class ConditionalToBranches(BlockRewrite):
    """`v = a if c else b` becomes if and else; a returned one an early return."""

    def block(self, statements: list[Statement]) -> Sequence[Statement]:
        """Write out some conditional expressions."""
        return [part for statement in statements for part in self._branches(statement)]

    def _branches(self, statement: Statement) -> list[Statement]:
        found = value_of(statement)
        if not found or not isinstance(found[1], cst.IfExp) or not self.drawn():
            return [statement]
        head, value = found[0], cst.ensure_type(found[1], cst.IfExp)
        taken, other = f"    {head} ({code(value.body)})", f"{head} ({code(value.orelse)})"
        if head == "return" and self.drawn(0.5):
            return parsed(f"if {code(value.test)}:\n{taken}\n{other}")
        return parsed(f"if {code(value.test)}:\n{taken}\nelse:\n    {other}")


class BranchesToConditional(BlockRewrite):
    """if and else that bind the same name, or both return, become one conditional expression."""

    def block(self, statements: list[Statement]) -> Sequence[Statement]:
        """Condense some branches."""
        return [part for statement in statements for part in self._condensed(statement)]

    def _condensed(self, statement: Statement) -> list[Statement]:
        if not isinstance(statement, cst.If) or not isinstance(statement.orelse, cst.Else):
            return [statement]
        branches = (statement.body.body, statement.orelse.body.body)
        if any(len(branch) != 1 for branch in branches):
            return [statement]
        taken, other = value_of(branches[0][0]), value_of(branches[1][0])
        if not taken or not other or taken[0] != other[0] or ":=" in code(statement) or not self.drawn():
            return [statement]
        return parsed(f"{taken[0]} ({code(taken[1])}) if ({code(statement.test)}) else ({code(other[1])})")


class NegateTest(BlockRewrite):
    """if and else change places under the opposite test."""

    def block(self, statements: list[Statement]) -> Sequence[Statement]:
        """Turn some branches round."""
        return [self._turned(statement) for statement in statements]

    def _turned(self, statement: Statement) -> Statement:
        if (
            not isinstance(statement, cst.If)
            or not isinstance(statement.orelse, cst.Else)
            or not self.drawn()
        ):
            return statement
        return statement.with_changes(
            test=cst.parse_expression(opposite(statement.test)),
            body=statement.orelse.body,
            orelse=statement.orelse.with_changes(body=statement.body),
        )


def opposite(test: cst.BaseExpression) -> str:
    """The text of the opposite test; `<` stays under a `not`, as numbers may be NaN."""
    if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        return f"({code(test.expression)})"
    if isinstance(test, cst.Comparison) and len(test.comparisons) == 1:
        operator = code(test.comparisons[0].operator).strip()
        if operator in _OPPOSITE:
            return f"({code(test.left)}) {_OPPOSITE[operator]} ({code(test.comparisons[0].comparator)})"
    return f"not ({code(test)})"


class FlipComparison(Rewrite):
    """`a < b` becomes `b > a`."""

    def leave_Comparison(
        self, original_node: cst.Comparison, updated_node: cst.Comparison
    ) -> cst.BaseExpression:
        """Flip some comparisons of calm values."""
        if len(updated_node.comparisons) != 1 or not self.functions:
            return updated_node
        operator = code(updated_node.comparisons[0].operator).strip()
        if operator not in _MIRRORED or not effect(code(original_node)).calm or not self.drawn():
            return updated_node
        right = updated_node.comparisons[0].comparator
        return cst.parse_expression(f"(({code(right)}) {_MIRRORED[operator]} ({code(updated_node.left)}))")


class DeMorgan(Rewrite):
    """`not (a and b)` becomes `not a or not b`."""

    def leave_UnaryOperation(
        self, original_node: cst.UnaryOperation, updated_node: cst.UnaryOperation
    ) -> cst.BaseExpression:
        """Move some negations in."""
        inner = updated_node.expression
        if not isinstance(updated_node.operator, cst.Not) or not isinstance(inner, cst.BooleanOperation):
            return updated_node
        if not self.drawn():
            return updated_node
        joint = "or" if isinstance(inner.operator, cst.And) else "and"
        return cst.parse_expression(f"(not ({code(inner.left)}) {joint} not ({code(inner.right)}))")


class ListTuple(Rewrite):
    """Where only the elements matter, `[a, b]` becomes `(a, b)` and back."""

    def leave_For(self, original_node: cst.For, updated_node: cst.For) -> cst.For:
        """What a loop goes through."""
        if not self.drawn():
            return updated_node
        return updated_node.with_changes(iter=exchanged(updated_node.iter))

    def leave_ComparisonTarget(
        self, original_node: cst.ComparisonTarget, updated_node: cst.ComparisonTarget
    ) -> cst.ComparisonTarget:
        """What something is looked for in."""
        if not isinstance(updated_node.operator, (cst.In, cst.NotIn)) or not self.drawn():
            return updated_node
        return updated_node.with_changes(comparator=exchanged(updated_node.comparator))


def exchanged(node: cst.BaseExpression) -> cst.BaseExpression:
    """A literal list as a tuple, a tuple as a list, anything else as it is."""
    if isinstance(node, (cst.List, cst.Tuple)) and node.elements:
        inner = ", ".join(
            code(element.with_changes(comma=cst.MaybeSentinel.DEFAULT)) for element in node.elements
        )
        return cst.parse_expression(f"({inner},)" if isinstance(node, cst.List) else f"[{inner}]")
    return node
