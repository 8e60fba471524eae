"""Names by binding: which scope binds a name, what a module imports, what a repository defines itself."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from detector.fingerprint.api import api
from detector.unit.tree import Syntax, captures, text

if TYPE_CHECKING:
    from tree_sitter import Node

_OPEN = {"list_comprehension", "set_comprehension", "dictionary_comprehension", "generator_expression"}


@dataclass(slots=True, eq=False)
class Scope:
    """A region of the text with names of its own; `kind` is the node type that opens it."""

    kind: str
    node: Node
    start: int
    end: int
    parent: Scope | None
    name: str = ""
    names: set[str] = field(default_factory=set)
    receiver: str = ""
    """first parameter of a method, where it stands for the instance or the class"""
    subject: str = ""
    """the receiver, or the parameter that takes its place in a function which works for a class"""
    parameters: dict[str, set[str]] = field(default_factory=dict)
    """names of the parameters, each with the attributes that are asked of it"""
    returns: list[Node] = field(default_factory=list)
    yields: bool = False

    @property
    def path(self) -> tuple[Scope, ...]:
        """The scopes around, outermost (the module) first, with this one last."""
        return (*self.parent.path, self) if self.parent else (self,)

    @property
    def qualified(self) -> str:
        """Dotted name, functions and classes only."""
        return ".".join(scope.name for scope in self.path if scope.name)


@dataclass(frozen=True, slots=True)
class Import:
    """`name` stands for `target` (dotted; starts with dots where relative); name "*" for a star import."""

    name: str
    target: str


@dataclass(frozen=True, slots=True)
class Bindings:
    """All scopes of a file in the order of the text, its imports, and the names it defines for others."""

    scopes: tuple[Scope, ...]
    imports: tuple[Import, ...]
    import_texts: tuple[str, ...]
    """import statements as written"""
    own: frozenset[str]
    """functions, classes, methods, attributes: what this repository can rename"""
    pieces: Mapping[str, Scope]
    """functions that the file defines once and calls at one place"""
    interrupted: frozenset[int]
    """ids of the nodes with a comment or a line continuation among their children"""


def bindings(syntax: Syntax) -> Bindings:
    """Resolve the scopes of a file by one query (`locals.scm`)."""
    found = captures("locals", syntax.tree.root_node)
    scopes = _nested(syntax.tree.root_node, found.get("local.scope", []))
    starts = [scope.start for scope in scopes]

    def around(node: Node) -> Scope:
        scope = scopes[bisect_right(starts, node.start_byte) - 1]
        while scope.end < node.end_byte and scope.parent:
            scope = scope.parent
        return scope

    own = _bind(found, around)
    _hand_over(scopes, found, around)
    own |= _fields(found, around)
    _release(found, around)
    _members(scopes, found, around)
    for node in found.get("local.return", ()):
        around(node).returns.append(node)
    for node in found.get("local.yield", ()):
        around(node).yields = True
    hooks = api().hooks
    imports = tuple(_imports(found.get("local.definition.import", ())))
    written = tuple(text(node) for node in found.get("local.definition.import", ()))
    return Bindings(
        tuple(scopes),
        imports,
        written,
        frozenset(n for n in own if n not in hooks and not _dunder(n)),
        _pieces(scopes, found),
        frozenset(node.parent.id for node in found.get("extra", ()) if node.parent is not None),
    )


def parameters_of(scope: Scope) -> tuple[tuple[str, Node | None], ...]:
    """Names and defaults in order, without the receiver."""
    given = scope.node.child_by_field_name("parameters")
    found: list[tuple[str, Node | None]] = []
    for parameter in given.named_children if given else []:
        name = parameter if parameter.type == "identifier" else parameter.child_by_field_name("name")
        name = name or next((child for child in parameter.named_children if child.type == "identifier"), None)
        if name is not None and not parameter.is_extra:
            found.append((text(name), parameter.child_by_field_name("value")))
    return tuple(found[1:] if scope.receiver and found and found[0][0] == scope.receiver else found)


def _bind(found: dict[str, list[Node]], around: Callable[[Node], Scope]) -> set[str]:
    """Enter each definition into the scope that binds it; the functions, classes and class variables."""
    own: set[str] = set()
    for node in found.get("local.definition.parameter", ()):
        scope, name = around(node), text(node)
        if not scope.names and _is_method(scope):
            scope.receiver = scope.subject = name
        scope.names.add(name)
        scope.parameters[name] = set()
    for node in found.get("local.definition.var", ()):
        scope, name = around(node), text(node)
        scope.names.add(name)
        if scope.kind == "class_definition":
            own.add(name)
    for node in found.get("local.definition.walrus", ()):
        scope = around(node)
        while scope.kind in _OPEN and scope.parent:
            scope = scope.parent
        scope.names.add(text(node))
    for capture in ("local.definition.function", "local.definition.type"):
        for node in found.get(capture, ()):
            inner, name = around(node), text(node)
            inner.name = name
            if inner.parent:
                inner.parent.names.add(name)
            own.add(name)
    return own


def _nested(root: Node, nodes: list[Node]) -> list[Scope]:
    scopes = [Scope("module", root, 0, root.end_byte, None)]
    inner = ((node.start_byte, -node.end_byte, node) for node in nodes if node.type != "module")
    enclosing = [scopes[0]]
    for start, end, node in sorted(inner, key=lambda row: row[:2]):
        while enclosing[-1].end < -end:
            enclosing.pop()
        scopes.append(Scope(node.type, node, start, -end, enclosing[-1]))
        enclosing.append(scopes[-1])
    return scopes


def _is_method(scope: Scope) -> bool:
    """Is this a function in a class body that takes a receiver?"""
    if scope.kind != "function_definition" or not scope.parent or scope.parent.kind != "class_definition":
        return False
    around = scope.node.parent
    return not (
        around and around.type == "decorated_definition" and b"@staticmethod" in (around.text or b"")[:400]
    )


def _hand_over(scopes: list[Scope], found: dict[str, list[Node]], around: Callable[[Node], Scope]) -> None:
    """A function that a class takes for its method is one; one that is handed the receiver works like one."""
    methods = {name for _, name in _aliases(found)}
    places: dict[str, int] = {}
    for node in found.get("local.reference.handed", ()):
        name = text(node)
        if any(name == scope.receiver for scope in around(node).path):
            given = node.parent
            if given is not None and given.parent is not None:
                places[text(given.parent.named_children[0])] = given.named_children.index(node)
    for scope in scopes:
        if scope.kind == "function_definition" and not scope.receiver and scope.parameters:
            if scope.name in methods:
                scope.receiver = scope.subject = next(iter(scope.parameters))
            elif scope.name in places:
                scope.subject = dict(enumerate(scope.parameters)).get(places[scope.name], "")


def _fields(found: dict[str, list[Node]], around: Callable[[Node], Scope]) -> set[str]:
    """Attributes assigned on a receiver, or what takes its place: they belong to the class."""
    fields: set[str] = set()
    receivers, named = found.get("receiver", ()), found.get("local.definition.field", ())
    for receiver, node in zip(receivers, named, strict=True):
        scope: Scope | None = around(node)
        while scope and not scope.subject:
            scope = scope.parent
        if scope and text(receiver) == scope.subject:
            fields.add(text(node))
    return fields


def _members(scopes: list[Scope], found: dict[str, list[Node]], around: Callable[[Node], Scope]) -> None:
    """Attributes that are asked of parameters, in the function itself or in one within it."""
    asked = {name for scope in scopes for name in scope.parameters if name != scope.receiver}
    objects, members = found.get("local.reference.object", ()), found.get("local.reference.member", ())
    for node, member in zip(objects, members, strict=True):
        name = text(node)
        if name not in asked:
            continue
        scope: Scope | None = around(node)
        while scope and name not in scope.names:
            scope = scope.parent
        if scope and name in scope.parameters:
            scope.parameters[name].add(text(member))


def _pieces(scopes: list[Scope], found: dict[str, list[Node]]) -> dict[str, Scope]:
    """Functions defined once and called once: where they were cut off is their author's choice."""
    calls = Counter(text(node) for node in found.get("local.reference.call", ()))
    named: dict[str, list[Scope]] = {}
    for scope in scopes:
        if scope.kind == "function_definition":
            named.setdefault(scope.name, []).append(scope)
    for alias, name in _aliases(found):
        named[alias] = [*named.get(alias, ()), *named.get(name, ())]
    return {
        name: same[0]
        for name, same in named.items()
        if len(same) == calls[name] == 1
        and name not in api().hooks
        and not _dunder(name)
        and same[0].parent
        and same[0].parent.kind in ("module", "class_definition")
        and _is_plain(same[0])
    }


def _aliases(found: dict[str, list[Node]]) -> Iterator[tuple[str, str]]:
    """`name = function` in the body of a class."""
    pairs = zip(found.get("local.reference.alias", ()), found.get("local.reference.method", ()), strict=True)
    return ((text(alias), text(name)) for alias, name in pairs)


def _is_plain(scope: Scope) -> bool:
    """Does the function run as written: no decorator but those for methods, and no generator?"""
    around = scope.node.parent
    if around is not None and around.type == "decorated_definition":
        names = {text(child).lstrip("@ ") for child in around.named_children if child.type == "decorator"}
        if not names <= {"staticmethod", "classmethod"}:
            return False
    return not scope.yields


def _release(found: dict[str, list[Node]], around: Callable[[Node], Scope]) -> None:
    """`global` and `nonlocal`: the name is not bound here."""
    for capture in ("local.outer.global", "local.outer.nonlocal"):
        for node in found.get(capture, ()):
            around(node).names.discard(text(node))


def _imports(nodes: list[Node] | tuple[Node, ...]) -> Iterator[Import]:
    for node in nodes:
        module = node.child_by_field_name("module_name")
        base = text(module).replace(" ", "") if module else ""
        if any(child.type == "wildcard_import" for child in node.named_children):
            yield Import("*", base)
        for item in node.children_by_field_name("name"):
            if item.type == "aliased_import":
                target, alias = item.child_by_field_name("name"), item.child_by_field_name("alias")
                if target and alias:
                    yield Import(text(alias), _joined(base, text(target)))
            elif module:
                yield Import(text(item), _joined(base, text(item)))
            else:
                first = text(item).partition(".")[0]
                yield Import(first, first)


def _joined(base: str, name: str) -> str:
    return name if not base else f"{base}{name}" if base.endswith(".") else f"{base}.{name}"


def _dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")
