"""Level 4: code moves between functions, methods become functions, dead code appears, nesting changes."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import cast

import libcst as cst

from benchmarks.accuracy.ladder.effect import effect
from benchmarks.accuracy.ladder.expressions import opposite
from benchmarks.accuracy.ladder.naming import Rename
from benchmarks.accuracy.ladder.rewrite import (
    BlockRewrite,
    Book,
    Rewrite,
    Statement,
    code,
    parsed,
    returned,
    small,
    value_of,
)

_FEWEST = 2
"""statements that are worth a function"""


class Extract(Rewrite):
    """A run of statements, or all from one on, becomes a function of its own.

    The run must not leave the function (a tail may return), define functions or look at the frame. Its
    parameters are the names it reads that are surely bound before; its results those read later.
    """

    def __init__(self, book: Book, tail: bool) -> None:
        super().__init__(book)
        self.tail = tail
        self.waiting: list[cst.FunctionDef] = []

    def leave_FunctionDef(
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.FunctionDef | cst.FlattenSentinel[cst.BaseStatement]:
        """Take something out of a module-level function or a method."""
        whole = effect(code(updated_node.body))
        if len(self.functions) > 1 or updated_node.asynchronous or whole.tied or not self.drawn():
            return updated_node
        if not whole.closed or "yield" in code(updated_node) or "await" in code(updated_node):
            return updated_node
        taken = self._taken([cast(Statement, s) for s in updated_node.body.body], updated_node)
        if taken is None:
            return updated_node
        body, piece = taken
        self.book.came_apart(self.qualified, piece.name.value)
        changed = updated_node.with_changes(body=cst.IndentedBlock(body))
        if len(self.around) == 1:
            return cst.FlattenSentinel([piece, changed])
        self.waiting.append(piece)
        return changed

    def leave_ClassDef(
        self, original_node: cst.ClassDef, updated_node: cst.ClassDef
    ) -> cst.ClassDef | cst.FlattenSentinel[cst.BaseStatement]:
        """What was taken out of methods stands before the class."""
        if len(self.around) > 1 or not self.waiting:
            return updated_node
        pieces, self.waiting = self.waiting, []
        return cst.FlattenSentinel([*pieces, updated_node])

    def _taken(
        self, body: list[Statement], function: cst.FunctionDef
    ) -> tuple[Sequence[Statement], cst.FunctionDef] | None:
        texts = [code(statement) for statement in body]
        bound = set(_parameters(function))
        for start, end in self._runs(len(body)):
            run = effect("".join(texts[start:end]))
            before, after = effect("".join(texts[:start])), effect("".join(texts[end:]))
            sure = bound | before.definite
            given = (run.reads | (run.writes - run.definite)) & (bound | before.writes)
            results = sorted(run.writes & after.reads)
            if not given <= sure or (run.leaves and not self.tail):
                continue
            if any(name not in run.definite and name not in sure for name in results):
                continue
            name, arguments = self.book.fresh(), ", ".join(sorted(given))
            ending = f"    return {', '.join(results)}\n" if results else ""
            piece = parsed(f"def {name}({arguments}):\n    pass\n{ending}")[0]
            assert isinstance(piece, cst.FunctionDef) and isinstance(piece.body, cst.IndentedBlock)
            piece = piece.with_changes(body=cst.IndentedBlock([*body[start:end], *piece.body.body[1:]]))
            head = "return " if self.tail else f"{', '.join(results)} = " if results else ""
            return [*body[:start], *parsed(f"{head}{name}({arguments})"), *body[end:]], piece
        return None

    def _runs(self, length: int) -> Iterator[tuple[int, int]]:
        """Where a run may begin and end, in random order: about half of the statements."""
        half = max(_FEWEST, length // 2)
        if length <= half:
            return
        starts = list(range(length - half + 1))
        self.book.draw.shuffle(starts)
        for start in [length - half] if self.tail else starts:
            yield start, start + half


def _parameters(function: cst.FunctionDef) -> list[str]:
    tree = ast.parse(code(function)).body[0]
    assert isinstance(tree, ast.FunctionDef)
    given = tree.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return [argument.arg for argument in every if argument is not None]


class InlineCalls(Rewrite):
    """A call of a module-level function of the same file gives way to the function's statements.

    Only functions that run straight to one return at the end, called with as many plain positional
    arguments as they have parameters.
    """

    def visit_Module(self, node: cst.Module) -> None:
        """Note the functions that can be inlined."""
        functions = [s for s in node.body if isinstance(s, cst.FunctionDef)]
        names = [function.name.value for function in functions]
        uses = effect(node.code)
        self.known = {
            f.name.value: f
            for f in functions
            if names.count(f.name.value) == 1
            and f.name.value not in uses.writes - set(names)
            and _is_straight(f)
        }  # fmt: skip

    def leave_IndentedBlock(
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.IndentedBlock:
        """Inline some calls."""
        if not self.in_function:
            return updated_node
        rows = [row for s in updated_node.body for row in self._inlined(cast(Statement, s))]
        return updated_node.with_changes(body=rows)

    def _inlined(self, statement: Statement) -> list[Statement]:
        found = value_of(statement)
        if not found or not isinstance(found[1], cst.Call):
            return [statement]
        function = self.known.get(code(found[1].func))
        if function is None or function.name.value == self.around[0].name.value:
            return [statement]
        given, parameters = found[1].args, _parameters(function)
        if len(given) != len(parameters) or any(a.star or a.keyword for a in given) or not self.drawn():
            return [statement]
        local = effect(code(function.body)).writes | set(parameters)
        names = {name: self.book.fresh() for name in sorted(local)}
        body = function.body.visit(Rename(names, {}))
        assert isinstance(body, cst.IndentedBlock)
        *rows, last = (cast(Statement, row) for row in body.body)
        value = returned(last)
        assert value is not None
        heads = [f"{names[p]} = ({code(a.value)})" for p, a in zip(parameters, given, strict=True)]
        return [
            *(row for head in heads for row in parsed(head)),
            *rows,
            *parsed(f"{found[0]} ({code(value)})"),
        ]


def _is_straight(function: cst.FunctionDef) -> bool:
    body = function.body.body
    parameters = function.params
    plain = not (parameters.kwonly_params or parameters.star_kwarg or parameters.posonly_params)
    starred = isinstance(parameters.star_arg, cst.Param)
    if function.decorators or function.asynchronous or not plain or starred:
        return False
    rows = [code(cast(cst.CSTNode, statement)) for statement in body]
    inside = effect(code(function.body))
    return (
        returned(body[-1]) is not None and len(rows) <= 12 and inside.closed and not inside.tied
        and "yield" not in code(function) and "await" not in code(function)
        and not any(effect(row).leaves for row in rows[:-1])
        and function.name.value not in inside.uses
    )  # fmt: skip


class MethodToFunction(Rewrite):
    """A method's code moves to a module-level function, which the class binds under the method's name."""

    def __init__(self, book: Book) -> None:
        super().__init__(book)
        self.waiting: list[cst.FunctionDef] = []

    def leave_FunctionDef(
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.BaseStatement:
        """Move a plain method."""
        name = updated_node.name.value
        if len(self.around) != 2 or not isinstance(self.around[0], cst.ClassDef) or name.startswith("__"):
            return updated_node
        everything = effect(code(updated_node))
        plain = all(
            p.default is None or isinstance(p.default, (cst.BaseNumber, cst.SimpleString, cst.Name))
            for p in (*updated_node.params.params, *updated_node.params.kwonly_params)
        )
        members = {code(s).partition(" =")[0].strip() for s in self.around[0].body.body}
        members |= {s.name.value for s in self.around[0].body.body if isinstance(s, cst.FunctionDef)}
        clear = not (_default_names(updated_node) & members) and not updated_node.asynchronous
        if updated_node.decorators or everything.tied or not plain or not clear or not self.drawn(0.4):
            return updated_node
        moved = self.book.fresh()
        self.book.came_apart(self.qualified, moved, whole=True)
        self.waiting.append(
            updated_node.with_changes(name=cst.Name(moved), params=_bare(updated_node.params), returns=None)
        )
        return parsed(f"{name} = {moved}")[0]

    def leave_ClassDef(
        self, original_node: cst.ClassDef, updated_node: cst.ClassDef
    ) -> cst.ClassDef | cst.FlattenSentinel[cst.BaseStatement]:
        """Moved methods stand before the class."""
        if len(self.around) > 1 or not self.waiting:
            return updated_node
        moved, self.waiting = self.waiting, []
        return cst.FlattenSentinel([*moved, updated_node])


def _default_names(function: cst.FunctionDef) -> set[str]:
    given = (*function.params.params, *function.params.kwonly_params)
    return {p.default.value for p in given if isinstance(p.default, cst.Name)}


def _bare(parameters: cst.Parameters) -> cst.Parameters:
    """Parameters without annotations, which might name things of the class."""
    bare = cst.parse_statement("def f(): pass")
    assert isinstance(bare, cst.FunctionDef)
    tree = ast.parse(f"def f({code(parameters)}): pass")
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
    return cst.ensure_type(cst.parse_statement(ast.unparse(tree)), cst.FunctionDef).params


class DeadCode(BlockRewrite):
    """Statements that compute what nobody uses."""

    def block(self, statements: list[Statement]) -> Sequence[Statement]:
        """Put some before statements of a block."""
        rows: list[Statement] = []
        for statement in statements:
            if not isinstance(small(statement), (cst.Global, cst.Nonlocal)) and self.drawn(0.12):
                rows += parsed(self._idle())
            rows.append(statement)
        return rows

    def _idle(self) -> str:
        name, number = self.book.fresh(), self.book.draw.randrange(2, 100)
        return self.book.draw.choice(
            (
                f"{name} = {number}",
                f"{name} = [{number}, {number + 1}]",
                f"{name} = {{}}\nif len({name}) > {number}:\n    {name}['{name}'] = {number}",
                f"{name} = 0\nfor {name}_step in range({number % 5}):\n    {name} += {name}_step",
            )
        )


class Nesting(BlockRewrite):
    """`if a and b` becomes `if a: if b`, and back."""

    def block(self, statements: list[Statement]) -> Sequence[Statement]:
        """Change the nesting of some tests."""
        return [self._other(statement) for statement in statements]

    def _other(self, statement: Statement) -> Statement:
        if not isinstance(statement, cst.If) or statement.orelse or not self.drawn():
            return statement
        inner, test = statement.body.body, statement.test
        if isinstance(test, cst.BooleanOperation) and isinstance(test.operator, cst.And):
            nested = statement.with_changes(test=test.right)
            return statement.with_changes(
                test=test.left, body=cst.IndentedBlock([nested.with_changes(leading_lines=())])
            )
        if len(inner) == 1 and isinstance(inner[0], cst.If) and not inner[0].orelse:
            both = f"({code(test)}) and ({code(inner[0].test)})"
            return statement.with_changes(test=cst.parse_expression(both), body=inner[0].body)
        return statement


class EarlyReturn(BlockRewrite):
    """A branch at the end becomes a guard that leaves early; an else after a return goes."""

    def block(self, statements: list[Statement]) -> Sequence[Statement]:
        """Rewrite the last statement of a block."""
        last = statements[-1]
        if not isinstance(last, cst.If) or not self.drawn():
            return statements
        if isinstance(last.orelse, cst.Else) and _leaves(last.body):
            rest = [cast(Statement, row) for row in last.orelse.body.body]
            return [*statements[:-1], last.with_changes(orelse=None), *rest]
        if last.orelse is None and self.leaving:
            guard = parsed(f"if {opposite(last.test)}:\n    {self.leaving}")
            return [*statements[:-1], *guard, *(cast(Statement, row) for row in last.body.body)]
        return statements

    def __init__(self, book: Book) -> None:
        super().__init__(book)
        self.leaving = ""

    def leave_IndentedBlock(
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.IndentedBlock:
        """Only the block of a function or of a loop may be left early at its end."""
        self.leaving = ""
        if self.in_function and self.around[-1].body is original_node:
            self.leaving = "return"
        elif original_node in self.loops:
            self.leaving = "continue"
        return super().leave_IndentedBlock(original_node, updated_node)

    loops: frozenset[cst.CSTNode] = frozenset()

    def visit_For(self, node: cst.For) -> None:
        """Note a loop's block."""
        self.loops |= {node.body}

    def visit_While(self, node: cst.While) -> None:
        """Note a loop's block."""
        self.loops |= {node.body}


def _leaves(body: cst.BaseSuite) -> bool:
    last = body.body[-1]
    return isinstance(small(last), (cst.Return, cst.Raise, cst.Continue, cst.Break))
