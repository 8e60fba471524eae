"""The API knowledge of a language as data (grammars/<language>/): node roles, equivalents, signatures."""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from detector.fingerprint.term import Term, constant, digest
from detector.resources import grammar

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True, slots=True)
class Signature:
    """Parameter names in order, the name that takes all further positionals, defaults by name."""

    names: tuple[str, ...]
    rest: str
    defaults: dict[str, Any]
    method: bool
    """the first argument is the receiver and has no name"""
    ranged: bool
    """a single argument is the second parameter, as in `range(stop)`; the first is then 0"""


@dataclass(frozen=True, slots=True, eq=False)
class Api:
    """Everything known of the language's public names, read once for each process."""

    expression: dict[str, str]
    statement: dict[str, str]
    hooks: frozenset[str]
    builtins: frozenset[str]
    receivers: frozenset[str]
    """method names of arrays and tensors: external also where a repository defines one of that name"""
    containers: frozenset[str]
    """the same for strings, containers and modules"""
    operators: dict[str, str]
    aliases: dict[str, str]
    modules: dict[str, str]
    method_modules: frozenset[str]
    keywords: dict[str, str]
    receiver_keywords: frozenset[str]
    concepts: dict[str, str]
    signatures: dict[str, str]
    """as written; `signature` reads one"""
    silent_calls: frozenset[str]
    silent_modules: tuple[str, ...]
    logger_makers: frozenset[str]
    logger_methods: frozenset[str]
    guards: frozenset[str]
    identity_calls: frozenset[str]


@lru_cache(maxsize=4)
def api(language: str = "python") -> Api:
    """Read `roles.toml`, `apis.toml` and `signatures.toml` of a language."""
    roles = tomllib.loads(grammar(language, "roles.toml"))
    apis = tomllib.loads(grammar(language, "apis.toml"))
    signatures = tomllib.loads(grammar(language, "signatures.toml"))
    ignored = roles["ignored"]
    return Api(
        expression=roles["expression"],
        statement=roles["statement"],
        hooks=frozenset(roles["hooks"]["names"]),
        builtins=frozenset(roles["builtins"]["names"].split()),
        receivers=frozenset(apis["receivers"]["names"].split()),
        containers=frozenset(apis["containers"]["names"].split()),
        operators=apis["operators"],
        aliases=apis["aliases"],
        modules=apis["modules"],
        method_modules=frozenset(apis["methods"]),
        keywords=apis["keywords"],
        receiver_keywords=frozenset(apis["receivers"]["keywords"].split()),
        concepts=apis["concepts"],
        signatures=signatures,
        silent_calls=frozenset(ignored["calls"]),
        silent_modules=tuple(ignored["modules"]),
        logger_makers=frozenset(ignored["logger_makers"]),
        logger_methods=frozenset(ignored["logger_methods"]),
        guards=frozenset(roles["constants"]["guards"]),
        identity_calls=frozenset(roles["constants"]["identity_calls"]),
    )


@lru_cache(maxsize=4096)
def signature(name: str) -> Signature | None:
    """The signature of a public call by its normal name; None where it is not known."""
    text = api().signatures.get(name)
    if text is None:
        return None
    keywords = api().keywords
    arguments = ast.parse(f"def f({text.lstrip('/?, ')}): 0").body[0].args  # type: ignore[attr-defined]
    names = tuple(keywords.get(argument.arg, argument.arg) for argument in arguments.args)
    given = [ast.literal_eval(default) for default in arguments.defaults]
    defaults = dict(zip(names[len(names) - len(given) :], given, strict=True))
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is not None:
            defaults[keywords.get(argument.arg, argument.arg)] = ast.literal_eval(default)
    ranged = text.startswith("?")
    if ranged:
        defaults[names[0]] = 0
    rest = arguments.vararg.arg if arguments.vararg else ""
    return Signature(names, keywords.get(rest, rest), defaults, text.startswith("/"), ranged)


def _moved(dotted: str, modules: Mapping[str, str]) -> str:
    """The name by the rule of its longest module; `a.**` takes all modules below `a`, told by lower case."""
    head = dotted.rpartition(".")[0]
    while head:
        if head in modules:
            return f"{modules[head]}{dotted[len(head) :]}"
        below = modules.get(f"{head}.**")
        if below is not None:
            parts = dotted[len(head) + 1 :].split(".")
            while len(parts) > 1 and parts[0].islower():
                del parts[0]
            return ".".join((below, *parts))
        head = head.rpartition(".")[0]
    return dotted


@lru_cache(maxsize=65536)
def normal_name(dotted: str) -> str:
    """The one spelling of a public name: module and function aliases undone, method form preferred."""
    known = api()
    dotted = _moved(_moved(dotted, known.modules), known.modules)
    head, _, last = dotted.rpartition(".")
    spelled_out = dotted in known.aliases or dotted in known.operators
    if not spelled_out and head in known.method_modules and last in known.receivers:
        dotted = f".{last}"
    return known.aliases.get(dotted, dotted)


@lru_cache(maxsize=65536)
def concept(name: str) -> int:
    """Hash of what a name stands for in any framework: its last component, folded, through the synonyms."""
    known = api()
    operator = known.operators.get(name)
    if operator:
        return digest(f"concept {operator}")
    last = name.rpartition(".")[2].replace("_", "").lower() or name
    return digest(f"concept {known.concepts.get(last, last)}")


@lru_cache(maxsize=65536)
def public(dotted: str) -> Term:
    """A public name as a value."""
    name = normal_name(dotted)
    code = digest(f"api {name}")
    return Term(code, code, concept(name), concept(name), ("api", name))


@lru_cache(maxsize=4096)
def default(name: str, parameter: str) -> Term | None:
    """The default of a known call's parameter, as a term."""
    known = signature(name)
    if known is None or parameter not in known.defaults:
        return None
    return constant(known.defaults[parameter])
