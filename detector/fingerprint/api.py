"""The API knowledge of a language as data: node roles, equivalents, signatures, concepts (grammars/<language>/)."""

from __future__ import annotations

import ast
import sys
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
    concepts: dict[str, str]
    signatures: dict[str, Signature]
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
        concepts=apis["concepts"],
        signatures={name: _signature(text) for name, text in signatures.items()},
        silent_calls=frozenset(ignored["calls"]),
        silent_modules=tuple(ignored["modules"]),
        logger_makers=frozenset(ignored["logger_makers"]),
        logger_methods=frozenset(ignored["logger_methods"]),
        guards=frozenset(roles["constants"]["guards"]),
        identity_calls=frozenset(roles["constants"]["identity_calls"]),
    )


def _signature(text: str) -> Signature:
    method = text.startswith("/")
    arguments = ast.parse(f"def f({text.lstrip('/, ')}): 0").body[0].args  # type: ignore[attr-defined]
    names = tuple(argument.arg for argument in arguments.args)
    given = [ast.literal_eval(default) for default in arguments.defaults]
    defaults = dict(zip(names[len(names) - len(given) :], given, strict=True))
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is not None:
            defaults[argument.arg] = ast.literal_eval(default)
    return Signature(names, arguments.vararg.arg if arguments.vararg else "", defaults, method)


@lru_cache(maxsize=65536)
def normal_name(dotted: str) -> str:
    """The one spelling of a public name: module and function aliases undone, method form preferred."""
    known = api()
    head, _, last = dotted.rpartition(".")
    while head:
        if head in known.modules:
            dotted = f"{known.modules[head]}{dotted[len(head) :]}"
            break
        head = head.rpartition(".")[0]
    head = dotted.rpartition(".")[0]
    dotted = known.aliases.get(dotted, dotted)
    if head in known.method_modules and last in known.receivers and dotted not in known.operators:
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
    signature = api().signatures.get(name)
    if signature is None or parameter not in signature.defaults:
        return None
    return constant(signature.defaults[parameter])
