"""A program goes in, the same program rewritten at each level comes out, and where its functions went."""

from __future__ import annotations

import ast
import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from hashlib import sha256
from pathlib import Path
from random import Random

import libcst as cst

from benchmarks.accuracy.ladder import apis, expressions, statements, structure
from benchmarks.accuracy.ladder.effect import effect
from benchmarks.accuracy.ladder.naming import Rename, RenameLocals, new_names, reformatted, survey
from benchmarks.accuracy.ladder.rewrite import Book

LEVELS = ("reformatted and renamed", "statements", "expressions", "structure")
_Made = Callable[[Book], cst.CSTTransformer]
_REWRITES: tuple[tuple[_Made, ...], ...] = (
    (),
    (
        statements.InlineConstant, statements.InlineTemporary, statements.Split, statements.Swap,
        statements.Temporary, statements.NameConstant, statements.Augment, statements.Merge,
    ),
    (
        expressions.ComprehensionToLoop, expressions.LoopToComprehension, expressions.BranchesToConditional,
        expressions.ConditionalToBranches, expressions.NegateTest, expressions.FlipComparison,
        expressions.DeMorgan, expressions.ListTuple, apis.OperatorForm, apis.Positional, apis.OwnPositional,
        apis.Literals,
    ),
    (
        structure.Nesting, structure.EarlyReturn, structure.InlineCalls,
        lambda book: structure.Extract(book, False), lambda book: structure.Extract(book, True),
        structure.MethodToFunction, structure.DeadCode,
    ),
)  # fmt: skip
"""in the order in which they are done; level n does those of all levels up to n"""
_SHAPING = {"apis", "effect", "expressions", "laundry", "naming", "rewrite", "statements", "structure"}
"""modules that decide what comes out"""


@dataclass(frozen=True, slots=True)
class Laundered:
    """A rewritten program. `pieces[path, name]` names the units that hold the code of the function which is
    called `name` after level 1.
    """

    files: dict[str, str]
    names: dict[str, str]
    pieces: dict[tuple[str, str], list[str]]

    def units(self, path: str, name: str) -> list[str]:
        """Where the function of this name in the original went; a piece may have come apart again."""
        waiting = [".".join(self.names.get(part, part) for part in name.split("."))]
        found: list[str] = []
        while waiting:
            piece = waiting.pop(0)
            parts = self.pieces.get((path, piece), [piece])
            found += [piece] if piece in parts else []
            waiting += [part for part in parts if part != piece]
        return found


def launder(files: Mapping[str, str], seed: str, share: float = 1.0) -> list[Laundered]:
    """Rewrite all files as one closed program, level upon level; item n is what level n + 1 makes of it.
    Of the names that can change that share does, drawn at random.

    Raises SyntaxError for what is no Python 3.
    """

    def changes(name: str) -> bool:
        return Random(f"{seed} {name}").random() < share

    texts = {path: reformatted(text) for path, text in sorted(files.items())}
    known = survey(texts.values())
    book = Book(Random(seed), set(known.every))
    names, attributes = (new_names(filter(changes, each), book) for each in (known.own, known.attributes))
    trees = {}
    for path, text in texts.items():
        local = RenameLocals(book, known, _module_names(text), changes)
        trees[path] = cst.parse_module(text).visit(local).visit(Rename(names, attributes))
    levels = []
    for rewrites in _REWRITES:
        for path, tree in trees.items():
            book.path = path
            trees[path] = reduce(lambda module, rewrite: module.visit(rewrite(book)), rewrites, tree)
        done = {path: ast.unparse(ast.parse(tree.code)) + "\n" for path, tree in trees.items()}
        levels.append(Laundered(done, names | attributes, {k: list(v) for k, v in book.pieces.items()}))
    return levels


def laundered(files: Mapping[str, str], seed: str, folder: Path) -> list[Laundered]:
    """The same, kept in a folder as long as the rewrites stay what they are."""
    given = sha256(json.dumps([seed, dict(files)], sort_keys=True).encode())
    for module in sorted(Path(__file__).parent.glob("*.py")):
        if module.stem in _SHAPING:
            given.update(module.read_bytes())
    kept = folder / f"{seed}-{given.hexdigest()[:16]}.pickle"
    if kept.exists():
        levels: list[Laundered] = pickle.loads(kept.read_bytes())
        return levels
    levels = launder(files, seed)
    folder.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(pickle.dumps(levels))
    return levels


def _module_names(text: str) -> frozenset[str]:
    """Names bound at the module's own level, or taken from elsewhere."""
    bound: set[str] = set()
    for statement in ast.parse(text).body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(statement.name)
        else:
            bound |= effect(ast.unparse(statement)).writes
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            bound |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    return frozenset(bound)
