"""Level 1: new names for everything that a copier can rename, new quotes and line breaks, no comments.

A name is changed everywhere in the program or nowhere: own functions and classes only where no other thing
of the program bears the same name, methods and attributes only where the name stands on `self` alone, in
classes without outer bases (`torch.log` must not follow `self.log`), parameters only where no call passes
them by name. The program's public interface is its own to change.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import libcst as cst

from benchmarks.accuracy.ladder.rewrite import Book

_HOOKS = {
    "forward", "call", "setup", "construct", "training_step", "validation_step", "test_step", "predict_step",
    "configure_optimizers", "build", "get_config", "update", "apply", "init", "step", "reset", "run",
}  # fmt: skip
_OPEN_BASES = {"object", "Module", "nn.Module", "torch.nn.Module"}
"""bases that call no methods but those of _HOOKS and _OF_MODULES"""
_OF_MODULES = {
    "train", "eval", "to", "cuda", "cpu", "half", "float", "double", "bfloat16", "type", "parameters",
    "modules", "children", "buffers", "named_parameters", "named_modules", "named_children", "named_buffers",
    "state_dict", "load_state_dict", "register_buffer", "register_parameter", "register_module",
    "add_module", "apply", "zero_grad", "requires_grad_", "extra_repr", "get_parameter", "get_buffer",
    "get_submodule", "training", "share_memory", "compile", "dump_patches", "call_super_init", "ipu", "xpu",
}  # fmt: skip
"""public attributes of torch.nn.Module"""
_BUILTIN = set(dir(builtins)) | {
    name for kind in (str, bytes, list, dict, set, tuple, int, float) for name in dir(kind)
}


def reformatted(text: str) -> str:
    """The same program without comments and docstrings, in the standard layout of `ast.unparse`."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or ([] if isinstance(node, ast.Module) else [ast.Pass()])
    return ast.unparse(tree) + "\n"


@dataclass(frozen=True, slots=True)
class Names:
    """Names of a program: functions and classes (`own`) and `attributes` that may change, names by which
    calls pass arguments (`keywords`), and whatever stands somewhere (`every`).
    """

    own: frozenset[str]
    attributes: frozenset[str]
    keywords: frozenset[str]
    every: frozenset[str]


class _Survey(ast.NodeVisitor):
    """Definitions, and the uses that forbid a new name."""

    def __init__(self) -> None:
        self.own: set[str] = set()
        self.attributes: set[str] = set()
        self.elsewhere: set[str] = set()
        """attributes that stand on anything but `self`, or in a class that may inherit them"""
        self.in_open_class = False
        self.keywords: set[str] = set()
        self.kept: set[str] = set(_BUILTIN)
        self.variables: set[str] = set()
        self.every: set[str] = set()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """A class of outer bases keeps its methods' names, as they may be called from there."""
        self.own.add(node.name)
        is_open = all(ast.unparse(base) in _OPEN_BASES for base in node.bases) and not node.keywords
        around, self.in_open_class = self.in_open_class, is_open
        for member in node.body:
            if isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef)):
                free = is_open and not member.decorator_list
                (self.attributes if free else self.kept).add(member.name)
                self.every.add(member.name)
                for child in ast.iter_child_nodes(member):
                    self.visit(child)
            else:
                self.kept.update(n.id for n in ast.walk(member) if isinstance(n, ast.Name))
                self.visit(member)
        self.in_open_class = around
        for child in (*node.bases, *node.keywords, *node.decorator_list):
            self.visit(child)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """A decorator may keep the name somewhere."""
        (self.kept if node.decorator_list else self.own).add(node.name)
        self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """As it is written."""
        self.kept.add(node.name)
        self.generic_visit(node)

    def visit_alias(self, node: ast.alias) -> None:
        """Imported names stay."""
        self.kept.update([*node.name.split("."), node.asname or ""])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """So do modules."""
        self.kept.update((node.module or "").split("."))
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        """A function that is also a variable somewhere keeps its name."""
        self.every.add(node.id)
        if isinstance(node.ctx, ast.Store):
            self.variables.add(node.id)

    def visit_arg(self, node: ast.arg) -> None:
        """Likewise a parameter."""
        self.variables.add(node.arg)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """What is set on `self` is own, unless the same name stands on something else."""
        self.every.add(node.attr)
        on_self = isinstance(node.value, ast.Name) and node.value.id == "self" and self.in_open_class
        if not on_self:
            self.elsewhere.add(node.attr)
        elif isinstance(node.ctx, ast.Store):
            self.attributes.add(node.attr)
        self.visit(node.value)

    def visit_keyword(self, node: ast.keyword) -> None:
        """Names of arguments in calls."""
        self.keywords.add(node.arg or "")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """A name inside a string may be looked up by it."""
        if isinstance(node.value, str) and len(node.value) < 100:
            self.kept.update([node.value, *node.value.split(".")])


def survey(texts: Iterable[str]) -> Names:
    """Survey all files of a program."""
    found = _Survey()
    for text in texts:
        found.visit(ast.parse(text))
    kept = found.kept | _HOOKS
    own = found.own - kept - found.variables - found.attributes - found.elsewhere
    attributes = found.attributes - kept - found.elsewhere - found.own - _OF_MODULES
    return Names(
        frozenset(name for name in own if not name.startswith("__")),
        frozenset(name for name in attributes if not name.startswith("__")),
        frozenset(found.keywords),
        frozenset(found.every | kept | found.own | found.attributes | found.keywords | found.variables),
    )


class Rename(cst.CSTTransformer):
    """Rename names, attributes and definitions; keywords of calls and imported names stay."""

    def __init__(self, names: Mapping[str, str], attributes: Mapping[str, str]) -> None:
        super().__init__()
        self.names, self.attributes = names, attributes
        self.passed_over: set[cst.CSTNode] = set()
        self.members: set[cst.CSTNode] = set()

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        """Names of methods are attributes."""
        self.members.update(s.name for s in node.body.body if isinstance(s, cst.FunctionDef))

    def visit_Attribute(self, node: cst.Attribute) -> None:
        """The attribute's name is no variable."""
        self.passed_over.add(node.attr)

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.Attribute:
        """Rename an own attribute."""
        name = self.attributes.get(original_node.attr.value)
        return updated_node.with_changes(attr=cst.Name(name)) if name else updated_node

    def visit_Arg(self, node: cst.Arg) -> None:
        """A keyword is no variable."""
        if node.keyword:
            self.passed_over.add(node.keyword)

    def visit_ImportAlias(self, node: cst.ImportAlias) -> bool:
        """What is imported keeps its name."""
        return False

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        """Rename a variable or a definition."""
        known = self.attributes if original_node in self.members else self.names
        name = None if original_node in self.passed_over else known.get(original_node.value)
        return updated_node.with_changes(value=name) if name else updated_node


_NAMED = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar,
)  # fmt: skip
"""nodes that bind a name which is no node of its own"""


class RenameLocals(cst.CSTTransformer):
    """Rename the parameters and variables of every outermost function, as far as they are to change."""

    def __init__(
        self, book: Book, names: Names, module_names: frozenset[str], changes: Callable[[str], bool]
    ) -> None:
        super().__init__()
        self.book, self.known, self.module_names, self.changes = book, names, module_names, changes
        self.depth = 0

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        """Go in."""
        self.depth += 1

    def leave_FunctionDef(
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.FunctionDef:
        """Rename in the outermost function, nested ones with it."""
        self.depth -= 1
        if self.depth:
            return updated_node
        text = cst.Module([]).code_for_node(original_node)
        names = {
            name: self.book.fresh() for name in sorted(self._locals(ast.parse(text))) if self.changes(name)
        }
        renamed = updated_node.visit(Rename(names, {}))
        assert isinstance(renamed, cst.FunctionDef)
        return renamed.with_changes(name=updated_node.name)

    def _locals(self, tree: ast.Module) -> set[str]:
        nodes = list(ast.walk(tree))
        found = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        found |= {n.arg for n in nodes if isinstance(n, ast.arg) and n.arg not in self.known.keywords}
        fixed = {n.arg for n in nodes if isinstance(n, ast.arg) and n.arg in self.known.keywords}
        for node in nodes:
            if isinstance(node, (ast.Global, ast.Nonlocal)):
                fixed.update(node.names)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                fixed.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.Name) and node.id in ("locals", "vars", "eval", "exec"):
                return set()
            elif isinstance(node, _NAMED) and node.name:
                fixed.add(node.name)
        return {n for n in found - fixed - self.module_names - _BUILTIN if not n.startswith("__")}


def new_names(names: Iterable[str], book: Book) -> dict[str, str]:
    """A new name for each, a class's in capitals."""
    return {
        name: book.fresh().title().replace("_", "") if name[:1].isupper() else book.fresh()
        for name in sorted(names)
    }
