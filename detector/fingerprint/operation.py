"""Value numbering of operators: arithmetic, comparisons, logic, choices, each in its one normal form."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from detector.fingerprint.expression import Expressions
from detector.fingerprint.term import VARIABLE, Term

if TYPE_CHECKING:
    from tree_sitter import Node

_MIRRORED = {">": "<", ">=": "<="}
_NEGATED = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<",
            "in": "not in", "not in": "in", "is": "is not", "is not": "is"}  # fmt: skip
_COMMUTATIVE = frozenset({"+", "*", "&", "|", "^", "==", "!=", "and", "or"})
_FOLDS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
}


class Operations(Expressions):
    """Operators over values."""

    def arithmetic(self, node: Node) -> Term:
        """A binary operator; runs of one commutative operator are flattened."""
        children = [child for child in node.children if not child.is_extra]
        if len(children) != 3:
            return self.operation("unknown", *map(self.value, self.parts(node)))
        operator = children[1].type
        if operator in ("+", "*"):
            return self.operate(operator, *map(self.value, self.chain(node, operator)))
        return self.operate(operator, self.value(children[0]), self.value(children[2]))

    def chain(self, node: Node, operator: str) -> list[Node]:
        """Operands of `a + b + c`, found without recursion."""
        operands: list[Node] = []
        while node.type == "binary_operator":
            children = [child for child in node.children if not child.is_extra]
            if len(children) != 3 or children[1].type != operator:
                break
            operands.append(children[2])
            node = children[0]
        return [node, *reversed(operands)]

    def operate(self, operator: str, *operands: Term) -> Term:
        """Apply an operator: constants are folded, commutative operands sorted."""
        facts = [operand.fact for operand in operands]
        if operator in _FOLDS and all(f is not None and f[0] == "constant" for f in facts):
            folded = _fold(operator, [f[1] for f in facts])
            if folded is not None:
                return self.constant(folded)
        if operator in _COMMUTATIVE:
            return self.unordered(operator, operands)
        if operator in _MIRRORED and len(operands) == 2:
            return self.operation(_MIRRORED[operator], operands[1], operands[0])
        fact = ("quotient", *operands) if operator == "/" else None
        return self.operation(operator, *operands, fact=fact)

    def sign(self, node: Node) -> Term:
        """`-x`, `+x`, `~x`."""
        operator, operand = node.children[0].type, self.inner(node)
        if operator == "-" and operand.fact and operand.fact[0] == "constant":
            found = operand.fact[1]
            if isinstance(found, (int, float, complex)):
                if operand.node == len(self.record.places) - 1 >= 0:
                    del self.record.places[-1:], self.record.terms[-5:]
                return self.constant(-found)
        return self.operation(f"unary {operator}", operand)

    def connective(self, node: Node) -> Term:
        """`a and b`, `a or b`."""
        operator = next((child.type for child in node.children if child.type in ("and", "or")), "and")
        operands: list[Node] = []
        while node.type == "boolean_operator" and any(child.type == operator for child in node.children):
            left, right = self.parts(node)[:2]
            operands.append(right)
            node = left
        return self.unordered(operator, [self.value(operand) for operand in (node, *reversed(operands))])

    def negation(self, node: Node) -> Term:
        """`not x`, pushed into comparisons."""
        inside = self.parts(node)[0]
        while inside.type == "parenthesized_expression" and len(self.parts(inside)) == 1:
            inside = self.parts(inside)[0]
        if inside.type == "not_operator":
            return self.value(self.parts(inside)[0])
        if inside.type == "comparison_operator" and len(self.parts(inside)) == 2:
            return self.comparison(inside, negate=True)
        return self.operation("not", self.value(inside))

    def comparison(self, node: Node, negate: bool = False) -> Term:
        """`a < b < c` is `a < b and b < c`; `>` is `<` the other way round."""
        operands = [self.value(part) for part in self.parts(node)]
        operators = [
            "!=" if child.type == "<>" else " ".join(self.text(child).split())
            for child in node.children
            if not child.is_named and child.type not in ("(", ")")
        ]
        pairs = [
            self.compare(_NEGATED.get(operator, operator) if negate else operator, left, right)
            for left, operator, right in zip(operands, operators, operands[1:], strict=False)
        ]
        if not pairs:
            return VARIABLE
        return pairs[0] if len(pairs) == 1 else self.unordered("and", pairs)

    def compare(self, operator: str, left: Term, right: Term) -> Term:
        """One comparison; `len(x) > 0` is whether x holds anything."""
        if left.fact and left.fact[0] == "length" and right.fact == ("constant", 0):
            if operator in (">", "!="):
                return left.fact[1]  # type: ignore[no-any-return]
            if operator == "==":
                return self.operation("not", left.fact[1])
        return self.operate(operator, left, right)

    def choice(self, node: Node) -> Term:
        """`a if test else b`."""
        then, condition, otherwise = self.parts(node)[:3]
        test, negated = self.test(condition)
        first, second = self.value(then), self.value(otherwise)
        return self.choose(test, second, first) if negated else self.choose(test, first, second)

    def choose(self, test: Term, then: Term, otherwise: Term) -> Term:
        """The value that depends on a test, whichever way it is written."""
        if then.exact2 == otherwise.exact2:
            return then
        return self.operation("choice", test, then, otherwise)

    def test(self, node: Node) -> tuple[Term, bool]:
        """A condition without its outer negation, and whether it was negated."""
        negated = False
        while node.type in ("not_operator", "parenthesized_expression") and len(self.parts(node)) == 1:
            negated ^= node.type == "not_operator"
            node = self.parts(node)[0]
        flipped = node.type == "comparison_operator" and _is_negative(node)
        if flipped:
            value, negated = self.comparison(node, negate=True), not negated
        else:
            value = self.value(node)
        return self.operation("test", value), negated


def _is_negative(node: Node) -> bool:
    operators = [" ".join(child.type.split()) for child in node.children if not child.is_named]
    return len(operators) == 1 and operators[0] in ("!=", "not in", "is not", "<>")


def _fold(operator: str, values: list[Any]) -> Any:
    if not all(isinstance(value, (int, float)) for value in values):
        return None
    result = values[0]
    try:
        for value in values[1:]:
            result = _FOLDS[operator](result, value)
    except (ArithmeticError, ValueError):
        return None
    return result if abs(result) < 1e300 else None
