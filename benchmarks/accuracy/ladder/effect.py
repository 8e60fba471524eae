"""What a piece of code reads, binds and may do: the preconditions of the rewrites.

Assumed throughout: operators, attribute access and subscripts have no side effects that another statement
could see. Swapping two statements may therefore change which of two errors is raised first, nothing else.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from textwrap import dedent

_CALM = (
    ast.Module, ast.Expr, ast.Assign, ast.Return, ast.Name, ast.Constant, ast.Attribute, ast.Subscript,
    ast.Slice, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Tuple, ast.List, ast.Dict,
    ast.Set, ast.JoinedStr, ast.FormattedValue, ast.keyword, ast.expr_context, ast.operator, ast.unaryop,
    ast.boolop, ast.cmpop,
)  # fmt: skip
_PURE_BUILTINS = {"len", "abs", "int", "float", "bool", "str", "round", "isinstance", "range", "type"}
_PURE_ROOTS = {"torch", "np", "numpy", "math", "jnp", "F", "tf"}
_PURE_CALLS = {
    "zeros", "ones", "full", "arange", "linspace", "cat", "stack", "concatenate", "sqrt", "exp", "log", "abs",
    "sum", "mean", "max", "min", "matmul", "einsum", "softmax", "sigmoid", "tanh", "relu", "zeros_like",
    "ones_like", "where", "floor", "ceil", "clip", "clamp", "cos", "sin", "outer", "eye", "argmax", "prod",
}  # fmt: skip
_LEAVING = (ast.Return, ast.Yield, ast.YieldFrom, ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Delete)
_BINDING = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.Global, ast.Nonlocal, ast.Import,
    ast.ImportFrom,
)  # fmt: skip
_TIED = re.compile(r"\bsuper\b|\b__\w*(?<!__)\b|\blocals\b|\bvars\b|\b(?:eval|exec|globals|__class__)\b")
"""code that means something else in another place: super(), mangled names, a look at the own frame"""


@dataclass(frozen=True, slots=True)
class Effect:
    """Names a piece of code reads and binds, and whether it computes only (`calm`).

    `definite` are the names that it binds whatever happens. `leaves` if control may leave the function in
    it; `closed` if it defines no functions, imports nothing, and touches no outer names; `tied` if it
    cannot be moved to another function.
    """

    reads: frozenset[str]
    writes: frozenset[str]
    definite: frozenset[str]
    uses: Counter[str]
    calm: bool
    leaves: bool
    closed: bool
    tied: bool


@lru_cache(maxsize=65536)
def effect(text: str) -> Effect:
    """The effect of statements or of an expression, given as text."""
    tree = ast.parse(dedent(text))
    nodes = list(ast.walk(tree))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    writes = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    writes |= {n.name for n in nodes if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}
    writes |= {node.name for node in nodes if isinstance(node, ast.ExceptHandler) and node.name}
    updated = {n.target.id for n in nodes if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)}
    return Effect(
        frozenset(node.id for node in names if isinstance(node.ctx, ast.Load)) | frozenset(updated),
        frozenset(writes),
        frozenset(name for statement in tree.body for name in _bound_surely(statement)),
        Counter([node.id for node in names] + [node.arg for node in nodes if isinstance(node, ast.arg)]),
        all(isinstance(node, _CALM) or (isinstance(node, ast.Call) and _is_pure(node)) for node in nodes),
        any(isinstance(node, _LEAVING) for node in nodes),
        not any(isinstance(node, _BINDING) for node in nodes),
        bool(_TIED.search(text)),
    )


def independent(first: str, second: str) -> bool:
    """Can two statements be swapped?"""
    a, b = effect(first), effect(second)
    return (
        a.calm and b.calm and not (a.leaves or b.leaves)
        and not (a.writes & (b.reads | b.writes)) and not (b.writes & a.reads)
    )  # fmt: skip


def _bound_surely(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.Assign):
        return [
            node.id
            for target in statement.targets
            for node in ast.walk(target)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        ]
    if isinstance(statement, ast.If) and statement.orelse:
        branches = [
            {name for inner in branch for name in _bound_surely(inner)}
            for branch in (statement.body, statement.orelse)
            if not isinstance(branch[-1], (ast.Return, ast.Raise, ast.Continue, ast.Break))
        ]
        return sorted(set.intersection(*branches)) if branches else []
    return []


def _is_pure(call: ast.Call) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        return function.id in _PURE_BUILTINS
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id in _PURE_ROOTS
        and function.attr in _PURE_CALLS
        and not any(keyword.arg in ("out", None) for keyword in call.keywords)
    )
