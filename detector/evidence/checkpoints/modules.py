"""The tensor names that code implies: what each class assigns to `self` from module-like constructors.

A `torch.nn.Module` (and likewise a Keras or Flax one) names its tensors after the attributes that hold its
parts. So the classes of a repository say which checkpoint its code can load, without running it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from detector.unit.source import read_source
from detector.unit.tree import captures, parse, text

if TYPE_CHECKING:
    from tree_sitter import Node

_HINTS = (b"Module", b"nn.", b"Layer", b"Model")
_INDEXED = frozenset({"ModuleList", "Sequential", "ModuleDict", "ParameterList", "ParameterDict"})
_LOADERS = frozenset({"from_pretrained", "from_config", "_from_config"})
_BUILDERS = re.compile("(build|create|make|get|init)_")
"""beginnings of the names of functions that return modules"""
_HOPS = 4
"""own methods and variables followed from an assignment to the constructor behind it"""


@dataclass(frozen=True, slots=True)
class Part:
    """What an attribute holds. `type` is the constructor's last name, empty where unknown.

    kind: "tensor" (a parameter or buffer), "module", "indexed" (a list whose items have `type`), or "given"
    (passed in from outside, so perhaps no module at all).
    """

    kind: Literal["tensor", "module", "indexed", "given"]
    type: str = ""


@dataclass(frozen=True, slots=True)
class ModuleClass:
    """A class that holds parts; lines from 1, inclusive."""

    name: str
    path: str
    start_line: int
    end_line: int
    bases: tuple[str, ...]
    parts: Mapping[str, Part]


class ModuleTree:
    """The module classes of one side and how they hold each other. Of two classes with one name the first
    counts.

    `aliases` are the other side's names of attributes -> the names that stand in their place here.
    """

    def __init__(self, classes: Iterable[ModuleClass], aliases: Mapping[str, str] | None = None) -> None:
        self.aliases = aliases or {}
        self.classes: dict[str, ModuleClass] = {}
        for found in classes:
            self.classes.setdefault(found.name, found)

    def parts(self, name: str) -> dict[str, Part]:
        """A class's parts with those of its own bases; empty for a class that the repository does not
        define.
        """
        merged: dict[str, Part] = {}
        queue, seen = [name], set()
        while queue:
            found = self.classes.get(queue.pop(0))
            if found is not None and found.name not in seen:
                seen.add(found.name)
                merged = {**found.parts, **merged}
                queue.extend(found.bases)
        return merged

    def holds(self, name: str, segments: tuple[str, ...]) -> bool:
        """Whether a class has a place for a tensor of this name (its segments below the class)."""
        own = self.parts(name)
        while segments:
            part = own.get(segments[0]) or own.get(self.aliases.get(segments[0], ""))
            if part is None:
                return False
            segments = segments[1:]
            if part.kind == "tensor":
                return not segments
            if part.kind == "indexed":
                if not segments:
                    return False
                segments = segments[1:]
            own = self.parts(part.type)
            if not own:
                # a class from outside: its inner names are not known here, only that it has some
                return bool(segments) or part.kind == "indexed"
        return False


def read_modules(path: str, content: bytes, seconds: float) -> list[ModuleClass]:
    """The classes of a Python file that assign parts to `self`; empty where there are none or parsing takes
    too long.
    """
    if b"self." not in content or not any(hint in content for hint in _HINTS):
        return []
    syntax = parse(read_source(path, content), seconds)
    if syntax is None:
        return []
    found = (_class(path, node) for node in _captured("class", syntax.tree.root_node))
    return [module for module in found if module.parts]


def _class(path: str, node: Node) -> ModuleClass:
    body = node.child_by_field_name("body")
    methods = {
        _text(inner.child_by_field_name("name")): inner
        for child in (body.named_children if body is not None else ())
        if (inner := _undecorated(child)).type == "function_definition"
    }
    parts: dict[str, Part] = {}
    for method in methods.values():
        for name, part in _assigned(method, methods):
            known = parts.get(name)
            if known is None or known.kind == "given":
                parts[name] = part
    bases = node.child_by_field_name("superclasses")
    return ModuleClass(
        _text(node.child_by_field_name("name")),
        path,
        node.start_point.row + 1,
        node.end_point.row + 1,
        tuple(_text(base).rpartition(".")[2] for base in (bases.named_children if bases is not None else ())),
        parts,
    )


def _undecorated(node: Node) -> Node:
    inner = node.child_by_field_name("definition") if node.type == "decorated_definition" else None
    return inner if inner is not None else node


def _assigned(method: Node, methods: Mapping[str, Node]) -> Iterator[tuple[str, Part]]:
    for target, value in _assignments(method):
        name = _text(target).removeprefix("self.")
        part = _part(value, method, methods, _HOPS) if target.type == "attribute" else None
        if part is not None and name.isidentifier():
            yield name, part
    for node in _captured("registered", method):
        call = _text(node.child_by_field_name("function")).removeprefix("self.")
        arguments = node.child_by_field_name("arguments")
        values = arguments.named_children if arguments is not None else []
        name = _text(values[0]).strip("\"'") if values else ""
        if name.isidentifier() and call == "add_module":
            yield (
                name,
                (_part(values[1], method, methods, _HOPS) if len(values) > 1 else None) or Part("given"),
            )
        elif name.isidentifier():
            yield name, Part("tensor")


def _assignments(method: Node) -> Iterator[tuple[Node, Node]]:
    """Target and value of every assignment in a method; `a, b = x, y` is two."""
    for node in _captured("assignment", method):
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is None or right is None:
            continue
        if left.type in ("pattern_list", "tuple_pattern") and len(left.named_children) == len(
            right.named_children
        ):
            yield from zip(left.named_children, right.named_children, strict=True)
        else:
            yield left, right


def _part(value: Node | None, method: Node, methods: Mapping[str, Node], hops: int) -> Part | None:  # noqa: PLR0911
    """What an expression constructs; None for what is no module."""
    if value is None or hops == 0:
        return None
    if value.type in ("conditional_expression", "boolean_operator", "parenthesized_expression"):
        arms = (_part(arm, method, methods, hops - 1) for arm in value.named_children)
        return next((arm for arm in arms if arm is not None and arm.kind != "given"), None)
    if value.type == "identifier":
        return _variable(_text(value), method, methods, hops - 1)
    if value.type != "call":
        return None
    function = value.child_by_field_name("function")
    below = function.child_by_field_name("object") if function is not None else None
    callee = _text(function)
    last = callee.rpartition(".")[2]
    if (
        below is not None and below.type == "call"
    ):  # nn.Parameter(...).requires_grad_(False), Model(...).eval()
        return _part(below, method, methods, hops - 1)
    if callee.startswith("self.") and last in methods and methods[last].id != method.id:
        return _returned(methods[last], methods, hops - 1)
    if last in _LOADERS:
        return Part("module", callee.split(".")[-2] if "." in callee else "")
    if last in ("Parameter", "Buffer"):
        return Part("tensor")
    if last in _INDEXED:
        return Part("indexed", _item_type(value, method, methods, hops))
    if last[:1].isupper():
        return Part("module", last)
    return Part("module") if _BUILDERS.match(last) or callee in _parameters(method) else None


def _variable(name: str, method: Node, methods: Mapping[str, Node], hops: int) -> Part | None:
    for target, value in _assignments(method):
        part = _part(value, method, methods, hops) if _text(target) == name else None
        if part is not None:
            return part
    return Part("given") if name in _parameters(method) else None


def _returned(method: Node, methods: Mapping[str, Node], hops: int) -> Part | None:
    for node in _captured("returned", method):
        part = _part(node.named_children[0] if node.named_children else None, method, methods, hops)
        if part is not None:
            return part
    return None


def _item_type(call: Node, method: Node, methods: Mapping[str, Node], hops: int) -> str:
    """The class of a list's items when they all come from one constructor: `ModuleList([Block(c) for _ in
    range(n)])`.
    """
    arguments = call.child_by_field_name("arguments")
    first = arguments.named_children[0] if arguments is not None and arguments.named_children else None
    inner = None
    if first is not None and first.type in ("list_comprehension", "generator_expression"):
        inner = first.child_by_field_name("body")
    elif first is not None and first.type == "list" and len(first.named_children) == 1:
        inner = first.named_children[0]
    part = _part(inner, method, methods, hops - 1)
    return part.type if part is not None and part.kind == "module" else ""


def _parameters(method: Node) -> frozenset[str]:
    parameters = method.child_by_field_name("parameters")
    names = (
        child.child_by_field_name("name")
        or (child if child.type == "identifier" else child.named_children[0])
        for child in (parameters.named_children if parameters is not None else ())
        if child.type == "identifier" or child.named_children
    )
    return frozenset(_text(name) for name in names) - {"self"}


def _captured(name: str, node: Node) -> list[Node]:
    return sorted(captures("modules", node).get(name, ()), key=lambda found: found.start_byte)


def _text(node: Node | None) -> str:
    return text(node) if node is not None else ""
