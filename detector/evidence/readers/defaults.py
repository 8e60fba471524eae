"""Settings that Python code states: defaults of configuration classes, of options, of configuration modules.

Read from the syntax tree, never imported. A default counts when it is a literal; what is computed is not
a setting.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from detector.evidence.finding import Json
from detector.evidence.vocabulary import QUOTED, Entry, canonical
from detector.unit.source import read_source
from detector.unit.tree import captures, parse

if TYPE_CHECKING:
    from tree_sitter import Node

_CONFIGURATION = re.compile(
    rb"(Config|Configuration|Cfg|Args|Arguments|Params|Parameters|Options|Opts|Settings|Hyperparams|HParams)\b"
)
_HINTS = (b"add_argument(", b".option(", b"@dataclass")
_NAMED = re.compile(rb"class\s+\w*" + _CONFIGURATION.pattern)
_RELEVANT = re.compile(
    rb"add_argument|\.option\b|dataclass|^[ \t]*class\s[^:]{0,400}?" + _CONFIGURATION.pattern, re.MULTILINE
)
"""what a statement holds that may state settings, once the file has passed the cheaper hint"""
_STATEMENT = re.compile(
    QUOTED.encode() + rb"|^(?=[^\W\d]|@)(?!(?:elif|else|except|finally)\b)", re.DOTALL | re.MULTILINE
)
"""the empty matches are where statements of a module start; what is quoted is passed over"""
_LONGEST_LITERAL = 400
_MOST_PIECES = 5_000
_OPTION_NAME = re.compile(r"^--?([A-Za-z][\w-]*)$")


@dataclass(frozen=True, slots=True)
class Defaults:
    """The defaults stated in one place: a class (`name`), or a parser or module (no name)."""

    name: str
    start_line: int
    end_line: int
    entries: tuple[Entry, ...]


def read_defaults(path: str, content: bytes, seconds: float) -> tuple[Defaults, ...]:
    """Every place in a Python file that states defaults; none if parsing takes longer than `seconds`."""
    is_settings_module = "config" in path.lower()
    if not (is_settings_module or any(hint in content for hint in _HINTS) or _NAMED.search(content)):
        return ()
    source = read_source(path, content)
    if not is_settings_module:
        source = replace(source, text=_relevant(source.text))
    syntax = parse(source, seconds)
    if syntax is None or _is_rubble(syntax.tree.root_node):
        return ()
    found = captures("settings", syntax.tree.root_node)
    places = [
        _of(_text(node.child_by_field_name("name")), [node], _class_pairs(node))
        for node in found.get("class", ())
        if _is_configuration(node)
    ]
    options = found.get("option", [])
    places.append(_of("", options, (pair for node in options for pair in _option_pairs(node))))
    if is_settings_module:
        constants = found.get("constant", [])
        places.append(_of("", constants, (pair for node in constants for pair in _assigned(node))))
    return tuple(place for place in places if place.entries)


def _relevant(text: bytes) -> bytes:
    """The text with all statements of the module blanked that state no settings: most need no parsing."""
    starts = [found.start() for found in _STATEMENT.finditer(text) if found.start() == found.end()]
    kept: list[bytes] = []
    decorated = False
    for start, end in zip([0, *starts], [*starts, len(text)], strict=True):
        statement = text[start:end]
        if decorated or _RELEVANT.search(statement):
            kept.append(statement)
        else:
            kept.append(b"\n" * statement.count(b"\n"))
        decorated = statement.startswith(b"@")
    return b"".join(kept)


def _is_rubble(root: Node) -> bool:
    """Whether a part that does not parse has too many pieces for a query, which is quadratic in them."""
    stack = [root] if root.has_error else []
    while stack:
        node = stack.pop()
        if node.type == "ERROR" and node.child_count > _MOST_PIECES:
            return True
        stack.extend(child for child in node.children if child.has_error)
    return False


def _of(name: str, nodes: list[Node], pairs: Iterator[tuple[str, Json]]) -> Defaults:
    entries = tuple(Entry(key, key, canonical(value)) for key, value in dict(pairs).items())
    if not nodes:
        return Defaults(name, 1, 1, entries)
    start = min(node.start_point.row for node in nodes)
    return Defaults(name, start + 1, max(node.end_point.row for node in nodes) + 1, entries)


def _is_configuration(node: Node) -> bool:
    body = node.child_by_field_name("body")
    bases = node.child_by_field_name("superclasses")
    heading = _bytes(node.child_by_field_name("name")) + b" " + _bytes(bases)
    parent = node.parent
    decorated = (
        parent is not None and parent.type == "decorated_definition" and b"dataclass" in _bytes(parent)[:200]
    )
    return body is not None and (decorated or _CONFIGURATION.search(heading) is not None)


def _class_pairs(node: Node) -> Iterator[tuple[str, Json]]:
    """Class-level fields, parameters of `__init__`, and what `__init__` assigns to `self`."""
    body = node.child_by_field_name("body")
    for statement in body.named_children if body is not None else ():
        if statement.type == "expression_statement":
            yield from _assigned(statement.named_children[0])
        elif (
            statement.type == "function_definition"
            and _text(statement.child_by_field_name("name")) == "__init__"
        ):
            parameters = statement.child_by_field_name("parameters")
            for parameter in parameters.named_children if parameters is not None else ():
                yield from _pair(
                    parameter.child_by_field_name("name"), parameter.child_by_field_name("value")
                )
            block = statement.child_by_field_name("body")
            for inner in block.named_children if block is not None else ():
                if inner.type == "expression_statement":
                    yield from _assigned(inner.named_children[0])


def _assigned(node: Node) -> Iterator[tuple[str, Json]]:
    if node.type == "assignment":
        yield from _pair(node.child_by_field_name("left"), node.child_by_field_name("right"))


def _option_pairs(arguments: Node) -> Iterator[tuple[str, Json]]:
    """`--query-num` with `default=96` is query_num=96, as argparse and click name it."""
    names, default = [], None
    for argument in arguments.named_children:
        if argument.type == "string":
            option = _OPTION_NAME.match(_text(argument).strip("\"'"))
            names.extend([option.group(1)] if option else [])
        elif argument.type == "keyword_argument" and _text(argument.child_by_field_name("name")) == "default":
            default = argument.child_by_field_name("value")
    if names and default is not None:
        known, value = _literal(default)
        if known:
            yield max(names, key=len).replace("-", "_"), value


def _pair(target: Node | None, value: Node | None) -> Iterator[tuple[str, Json]]:
    name = _text(target).removeprefix("self.")
    if name.isidentifier() and value is not None:
        known, plain = _literal(value)
        if known:
            yield name, plain


def _literal(node: Node) -> tuple[bool, Json]:
    """(True, value) for a short literal; the length bounds the recursion of `literal_eval`."""
    text = _text(node)
    if len(text) > _LONGEST_LITERAL or node.type in ("identifier", "attribute", "call"):
        return False, None
    try:
        return True, _plain(ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False, None


def _plain(value: object) -> Json:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _bytes(node: Node | None) -> bytes:
    return (node.text or b"") if node is not None else b""


def _text(node: Node | None) -> str:
    return _bytes(node).decode("utf-8", "replace")
