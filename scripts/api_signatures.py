"""Refresh the generated part of grammars/python/signatures.toml from installed packages.

    pip install torch torchvision numpy jax flax optax keras einops pillow transformers gymnasium
    python scripts/api_signatures.py [NAME ...]

Entries above the marker are written by hand (methods, overloads) and stay. Every name below it, and every
NAME given (a dotted public name in its normal form), is looked up in the packages that are installed and
written anew; a name that cannot be looked up keeps its entry. It imports public packages, never a repository.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parent.parent / "grammars" / "python" / "signatures.toml"
MARKER = "# From installed packages, by scripts/api_signatures.py."
_POSITIONS = 12
"""what stands further back is passed by keyword; its default is kept only where it says something"""
_PLAIN = 4
"""parameters from here on are left out where their default is None or no literal"""
_UNNAMED = {"kwargs", "kwds", "args"}
_STORAGE = {"layout", "memory_format", "pin_memory", "out_sharding", "casting", "order", "subok"}


def main(names: list[str]) -> None:
    """Rewrite the table."""
    hand, _, generated = TABLE.read_text().partition(MARKER)
    old = {line.split('"')[1]: line for line in generated.splitlines() if line.startswith('"')}
    written = {line.split('"')[1] for line in hand.splitlines() if line.startswith('"')}
    lines = {}
    for name in sorted({*old, *names} - written):
        text = signature(name)
        if text:
            lines[name] = f'"{name}" = "{text}"'
        elif name in old:
            lines[name] = old[name]
    TABLE.write_text("\n".join([f"{hand}{MARKER}", *lines.values(), ""]))


def signature(name: str) -> str:
    """Parameters as the table writes them; "" where unknown, or where they say nothing."""
    found = resolve(name)
    if found is None:
        return ""
    try:
        parameters = list(inspect.signature(found).parameters.values())
    except (ValueError, TypeError):
        return from_stub(name)
    if inspect.isclass(found) and parameters and parameters[0].name in ("self", "cls"):
        parameters = parameters[1:]
    if parameters and all(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
        return from_stub(name)
    return written(parameters)


def resolve(name: str) -> Any:
    """The object of a dotted name, or None."""
    parts = name.split(".")
    if len(parts) == 1:
        return getattr(builtins, name, None)
    for end in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:end]))
            for part in parts[end:]:
                found = getattr(found, part)
        except (ImportError, AttributeError, RuntimeError):
            continue
        return found
    return None


def written(parameters: list[inspect.Parameter]) -> str:
    """One signature; a default that is no literal is `...`, which equals no argument anybody writes."""
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    while len(positional) > _PLAIN and (_says_nothing(positional[-1]) or len(positional) > _POSITIONS):
        positional.pop()
    first = next((i for i, p in enumerate(positional) if p.default is not p.empty), len(positional))
    pieces = [_written(p, i >= first) for i, p in enumerate(positional)]
    rest = [p.name for p in parameters if p.kind is p.VAR_POSITIONAL and p.name not in _UNNAMED]
    keywords = [p for p in parameters if p.kind is p.KEYWORD_ONLY and not _says_nothing(p)]
    pieces += [f"*{name}" for name in rest] or ["*"] * bool(keywords)
    pieces += [_written(p, True) for p in keywords]
    text = ", ".join(pieces)
    named = len(positional) > 1 and positional[-1].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    return text if (named or "=" in text) and not set(text) & {'"', "\\"} else ""


def _written(p: inspect.Parameter, defaulted: bool) -> str:
    if not defaulted:
        return p.name
    return f"{p.name}={p.default!r}" if _is_literal(p.default) else f"{p.name}=..."


def _says_nothing(p: inspect.Parameter) -> bool:
    """Is this a parameter whose default nobody spells out?"""
    return p.default is None or not _is_literal(p.default) or p.name in _STORAGE or p.name.startswith("_")


def _is_literal(value: object) -> bool:
    if isinstance(value, float) and value - value != 0:
        return False
    if isinstance(value, tuple):
        return all(map(_is_literal, value))
    return value is None or type(value) in (bool, int, float, str)


@lru_cache(maxsize=1)
def _stubs() -> dict[str, list[ast.arguments]]:
    """Overloads of PyTorch's built-in functions, from the type stubs that it ships."""
    found: dict[str, list[ast.arguments]] = {}
    path = Path(importlib.import_module("torch").__file__ or "").parent / "_C" / "_VariableFunctions.pyi"
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            found.setdefault(node.name, []).append(node.args)
    return found


def from_stub(name: str) -> str:
    """Signature of a built-in function of PyTorch that has one overload, or one that takes `*size`."""
    module, _, last = name.rpartition(".")
    if module not in ("torch", "torch.nn.functional"):
        return ""
    overloads = _stubs().get(last, [])
    named = [a for a in overloads if not any("Dimname" in ast.dump(p) for p in (*a.args, *a.kwonlyargs))]
    chosen = next((a for a in named if a.vararg), named[0] if named else None)
    if chosen is None:
        return ""
    first = chosen.args[0].arg if chosen.args else "size"
    if {a.args[0].arg for a in named if a.args} - {first}:
        return ""
    return written(_parameters(chosen))


def _parameters(given: ast.arguments) -> list[inspect.Parameter]:
    kind = inspect.Parameter
    positional = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    rows: list[tuple[ast.arg, ast.expr | None, Any]] = [
        (argument, default, kind.POSITIONAL_OR_KEYWORD)
        for argument, default in zip(positional, defaults, strict=True)
    ]
    if given.vararg:
        rows.append((given.vararg, None, kind.VAR_POSITIONAL))
    rows += [(a, d, kind.KEYWORD_ONLY) for a, d in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    return [kind(argument.arg, how, default=_value(default)) for argument, default, how in rows]


def _value(default: ast.expr | None) -> Any:
    if default is None:
        return inspect.Parameter.empty
    try:
        return ast.literal_eval(default)
    except ValueError:
        return ...


if __name__ == "__main__":
    main(sys.argv[1:])
