"""Value numbering of calls: outside APIs by their one normal form, own functions as leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, TypeAlias

from detector.fingerprint.api import api, default, normal_name, public, signature
from detector.fingerprint.expression import label
from detector.fingerprint.module import Module
from detector.fingerprint.operation import Operations
from detector.fingerprint.term import VARIABLE, Term, constant, digest

if TYPE_CHECKING:
    from tree_sitter import Node

    from detector.fingerprint.binding import Scope

_DEPTH_OF_INLINING = 3


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a call is given: positional and keyword values."""

    positional: list[Term]
    keywords: list[tuple[str, Term]]

    @property
    def all(self) -> list[Term]:
        """Every value, positional first."""
        return [*self.positional, *(value for _, value in self.keywords)]


@dataclass(frozen=True, slots=True)
class Helper:
    """A small own function of one return expression, which callers may have spelled out instead.

    `parameters` are names with their defaults (None: no default); `body` the returned expression.
    """

    scope: Scope
    module: Module
    parameters: tuple[tuple[str, Node | None], ...]
    body: Node


Helpers: TypeAlias = "Callable[[str], Helper | None]"
"""the helper of a name"""
Rewrite: TypeAlias = "Callable[[Calls, Arguments], Term | None]"


class Calls(Operations):
    """Calls, by what is called."""

    def __init__(self, scope: Scope, module: Module, own_names: frozenset[str], helper_of: Helpers) -> None:
        super().__init__(scope, module, own_names)
        self.helper_of = helper_of
        self.inlined = 0

    def call(self, node: Node) -> Term:
        """`function(arguments)`."""
        parts = self.parts(node)
        function, given = parts[0], parts[-1]
        while function.type == "parenthesized_expression" and len(self.parts(function)) == 1:
            function = self.parts(function)[0]
        if function.type == "attribute":
            return self.method(function, given)
        name = self.text(function) if function.type == "identifier" else ""
        callee = self.lookup(name) if name else self.value(function)
        fact = callee.fact
        if fact is not None and fact[0] == "api":
            if fact[1] == "super":
                return public("super")
            return self.outside(fact[1], self.arguments(given))
        return self.own_call(name, callee, self.arguments(given))

    def method(self, function: Node, given: Node) -> Term:  # noqa: PLR0911  one for each kind of callee
        """`object.name(arguments)`."""
        target, name = self.split(function)
        if target.type == "identifier":
            held = self.text(target)
            subject = self.subject(held)
            if subject is not None:
                if name in self.own_names and name not in self.known.hooks:
                    callee = self.env.get(f"{subject}.{name}", VARIABLE)
                    return self.own_call(name, callee, self.arguments(given))
                return self.outside(f".{name}", self.arguments(given, VARIABLE))
            base = self.named(held)
        else:
            base = self.value(target)
        fact = base.fact
        if fact == _SUPER and name in self.own_names and name not in self.known.hooks:
            return self.own_call(name, VARIABLE, self.arguments(given))
        if fact is not None and fact[0] == "api":
            return self.outside(public(f"{fact[1]}.{name}").fact[1], self.arguments(given))
        if fact is not None and fact[0] == "own":
            return self.own_call(name, VARIABLE, self.arguments(given))
        if name in self.renamable:
            helper = self.helper_of(name)
            bound = helper is not None and bool(helper.scope.receiver)
            return self.own_call(name, VARIABLE, self.arguments(given, *(() if bound else (base,))))
        return self.outside(f".{name}", self.arguments(given, base))

    def arguments(self, node: Node, *first: Term) -> Arguments:
        """Values of an argument list, after a receiver where there is one."""
        if node.type != "argument_list":
            return Arguments([*first, self.value(node)], [])
        positional, keywords = list(first), []
        for part in self.parts(node):
            if part.type == "keyword_argument":
                name, value = self.parts(part)[:2]
                keywords.append((self.text(name), self.value(value)))
            elif part.type == "dictionary_splat":
                keywords.append(("**", self.inner(part)))
            else:
                positional.append(self.value(part))
        return Arguments(positional, keywords)

    # Own functions

    def own_call(self, name: str, callee: Term, given: Arguments) -> Term:
        """A call of the repository's own: names, order and keywords are the copier's to choose."""
        helper = self.helper_of(name)
        if helper is not None and self.inlined < _DEPTH_OF_INLINING:
            result = self.inline(helper, given)
            if result is not None:
                return result
        if name:
            self.pending.append(name)
            self.record.calls.add(name)
        values = given.all
        exact = sorted(value.exact1 for value in values if value.exact1 != VARIABLE.exact1)
        deep = sorted(value.exact2 for value in values if value.exact2 != VARIABLE.exact2)
        parts = [*values, callee] if callee.abstract1 else values
        if callee.abstract1:
            exact, deep = [callee.exact1, *exact], [callee.exact2, *deep]
        return self.node(label("own call"), exact, deep, parts)

    def inline(self, helper: Helper, given: Arguments) -> Term | None:
        """The helper's expression, over the caller's arguments; None if they do not fit."""
        values = dict(zip((name for name, _ in helper.parameters), given.positional, strict=False))
        values.update((name, value) for name, value in given.keywords)
        if len(given.positional) > len(helper.parameters):
            return None
        state = (self.env, self.locals, self.enclosing, self.module)
        self.env, self.module = {}, helper.module
        self.locals, self.enclosing = helper.scope.names, []
        self.inlined += 1
        try:
            for name, fallback in helper.parameters:
                if name not in values:
                    values[name] = self.value(fallback) if fallback is not None else VARIABLE
            self.env = self.subjects(helper.scope) | values
            return self.value(helper.body)
        finally:
            self.inlined -= 1
            self.env, self.locals, self.enclosing, self.module = state
            self.pending.clear()

    # The outside

    def outside(self, name: str, given: Arguments) -> Term:
        """A call of a public API: rewritten where its normal form is another, else bound to its signature."""
        name = normal_name(name)
        operator = self.known.operators.get(name)
        if operator and len(given.positional) == 2 and not given.keywords:
            return self.operate(operator, *given.positional)
        rewrite = _REWRITES.get(name)
        if rewrite is not None:
            result = rewrite(self, given)
            if result is not None:
                return result
        if name in self.known.identity_calls and given.positional:
            return given.positional[-1]
        return self.bound(name, given, ("logger",) if _makes_logger(name) else None)

    def bound(self, name: str, given: Arguments, fact: object = None) -> Term:
        """Arguments by parameter name where the signature is known, in the order of names; no defaults."""
        form = _form(name, len(given.positional), tuple([key for key, _ in given.keywords]))
        values = given.all
        plain = [values[at] for at in form.plain]
        rest = [values[at] for at in form.rest]
        plain += _spread(rest) if form.spread else rest
        exact1, exact2 = [value.exact1 for value in plain], [value.exact2 for value in plain]
        for salt, at, standard in form.named:
            value = values[at]
            if standard is None or not _is_default(standard, value):
                exact1.append(hash((salt, value.exact1)))
                exact2.append(hash((salt, value.exact2)))
                plain.append(value)
        return self.node(form.label, exact1, exact2, plain, fact)


@dataclass(frozen=True, slots=True)
class _Form:
    """How the arguments of a public call are bound, each by its place among all that are given.

    `plain` and `rest` have no name, `rest` being what the signature gathers (`spread`: one sequence there
    is its elements); `named` have the hash of their parameter's name, and its default where it has one.
    """

    label: tuple[int, int]
    plain: tuple[int, ...]
    rest: tuple[int, ...]
    spread: bool
    named: tuple[tuple[int, int, Term | None], ...]


@lru_cache(maxsize=65536)
def _form(name: str, count: int, keys: tuple[str, ...]) -> _Form:
    """The form of a call with `count` positional arguments and these keywords."""
    known = signature(name)
    folded, receivers = api().keywords, api().receiver_keywords
    keywords = [(folded.get(key, key), at) for at, key in enumerate(keys, count)]
    rest, plain = list(range(count)), list[int]()
    if name.startswith(".") and not rest:
        rest = [at for key, at in keywords if key in receivers][:1]
        keywords = [pair for pair in keywords if pair[0] not in receivers]
    if known is not None:
        if known.method and rest:
            plain, rest = rest[:1], rest[1:]
        alone = known.ranged and len(rest) == 1 and all(key != known.names[1] for key, _ in keywords)
        named = list(zip(known.names[alone:], rest, strict=False))
        rest = [*rest[len(named) :], *(at for key, at in keywords if key == known.rest)]
        keywords = [pair for pair in (*named, *keywords) if pair[0] != known.rest]
    code = public(name)
    rows = [(digest(f"keyword {key}"), at, default(name, key) if known else None) for key, at in keywords]
    return _Form(
        (code.exact1, code.abstract1),
        tuple(plain),
        tuple(rest),
        known is not None,
        tuple(sorted(rows, key=itemgetter(0))),
    )


@lru_cache(maxsize=65536)
def _makes_logger(name: str) -> bool:
    return name.rpartition(".")[2].lower() in api().logger_makers


_SUPER = ("api", "super")


def _is_default(standard: Term, value: Term) -> bool:
    if value.fact and value.fact[0] == "elements":
        elements = value.fact[1]
        written = tuple(e.fact[1] for e in elements if e.fact and e.fact[0] == "constant")
        return len(written) == len(elements) and bool(standard.fact == ("constant", written))
    return standard.exact1 == value.exact1


def _spread(values: list[Term]) -> list[Term]:
    """`reshape((a, b))` is `reshape(a, b)`."""
    if len(values) == 1 and values[0].fact and values[0].fact[0] == "elements":
        return list(values[0].fact[1])
    return values


# Rewrites: calls that have another normal form. Each returns None where it does not apply.


def _length(walk: Calls, given: Arguments) -> Term | None:
    if len(given.positional) != 1:
        return None
    target = given.positional[0]
    return walk.bound("len", given, ("length", target))


def _range(walk: Calls, given: Arguments) -> Term | None:
    bounds = given.positional
    if len(bounds) == 3 and bounds[2].fact == ("constant", 1):
        bounds = bounds[:2]
    if len(bounds) == 2 and bounds[0].fact == ("constant", 0):
        bounds = bounds[1:]
    fact = (
        ("indices", bounds[0].fact[1])
        if len(bounds) == 1 and bounds[0].fact and bounds[0].fact[0] == "length"
        else None
    )
    return walk.bound("range", Arguments(bounds, given.keywords), fact)


def _enumerate(walk: Calls, given: Arguments) -> Term | None:
    if len(given.positional) != 1 or given.keywords:
        return None
    return VARIABLE._replace(fact=("enumerated", given.positional[0]))


def _zip(walk: Calls, given: Arguments) -> Term | None:
    if not given.positional:
        return None
    return walk.bound("zip", given, ("zipped", given.positional))


def _whole(walk: Calls, given: Arguments) -> Term | None:
    """`int(a / b)` is `a // b`."""
    fact = given.positional[0].fact if len(given.positional) == 1 and not given.keywords else None
    return walk.operate("//", *fact[1:]) if fact and fact[0] == "quotient" else None


def _list(walk: Calls, given: Arguments) -> Term | None:
    if not given.all:
        return VARIABLE._replace(fact=("list",))
    target = given.positional[0] if given.positional else VARIABLE
    return target if target.fact and target.fact[0] in ("list", "elements") else None


def _mapping(walk: Calls, given: Arguments) -> Term | None:
    if given.positional:
        return None
    return walk.unordered("mapping", [walk.operation("entry", constant(k), v) for k, v in given.keywords])


def _size(walk: Calls, given: Arguments) -> Term | None:
    """`x.size(i)` is `x.shape[i]`."""
    shape = walk.attribute("shape", given.positional[0])
    rest = [*given.positional[1:], *(value for _, value in given.keywords)]
    return walk.element(shape, rest[0]) if rest else shape


def _getattr(walk: Calls, given: Arguments) -> Term | None:
    if (
        len(given.positional) != 2
        or not given.positional[1].fact
        or given.positional[1].fact[0] != "constant"
    ):
        return None
    return walk.attribute_of(given.positional[0], str(given.positional[1].fact[1]))


def _setattr(walk: Calls, given: Arguments) -> Term | None:
    if (
        len(given.positional) != 3
        or not given.positional[1].fact
        or given.positional[1].fact[0] != "constant"
    ):
        return None
    return walk.store(given.positional[0], str(given.positional[1].fact[1]), given.positional[2])


def _square(walk: Calls, given: Arguments) -> Term | None:
    return walk.operate("**", given.positional[-1], constant(2)) if len(given.positional) == 1 else None


_REWRITES: dict[str, Rewrite] = {
    "len": _length,
    "range": _range,
    "enumerate": _enumerate,
    "zip": _zip,
    "int": _whole,
    "math.floor": _whole,
    "list": _list,
    "tuple": _list,
    "dict": _mapping,
    ".size": _size,
    "getattr": _getattr,
    "setattr": _setattr,
    ".square": _square,
}
