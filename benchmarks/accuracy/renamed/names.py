"""Other names for a share of those that a program gives."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Mapping
from io import StringIO
from random import Random
from tokenize import NAME, STRING, generate_tokens, untokenize

from detector.fingerprint.api import api
from detector.fingerprint.fingerprint import declare
from detector.unit.source import read_source

_KEPT = {*dir(builtins), *keyword.kwlist, "self", "cls"}


def other_names(files: Mapping[str, str], share: float, seed: str) -> dict[str, str]:
    """New names for a share of the names that a program gives, drawn at random."""
    names = given_names(files)
    Random(seed).shuffle(names)
    return {name: f"{name[0]}q{at}" for at, name in enumerate(names[: round(share * len(names))])}


def given_names(files: Mapping[str, str]) -> list[str]:
    """The names that a program gives: what others define, frameworks call, or is special keeps its own."""
    names: set[str] = set()
    imported: set[str] = set()
    for path, text in files.items():
        declared = declare(read_source(path, text.encode()))
        if declared is None:
            raise SystemExit(f"{path} does not parse")
        names |= declared.found.own
        names |= {name for scope in declared.found.scopes for name in scope.names}
        imported |= {item.name for item in declared.found.imports}
    return sorted(
        name for name in names - imported - _KEPT - api().hooks - api().receivers if name[:2] != "__"
    )


def replaced(text: str, names: Mapping[str, str]) -> str:
    """A program's text with other names, also within f-strings."""

    def other(word: str) -> str:
        return re.sub(r"[^\W\d]\w*", lambda found: names.get(found[0], found[0]), word)

    tokens = generate_tokens(StringIO(text).readline)
    changed = [
        (kind, other(word) if kind == NAME or (kind == STRING and word[:1] in "fF") else word)
        for kind, word, *_ in tokens
    ]
    return str(untokenize(changed))
