"""References that lead nowhere on their own side: to modules, classes or files that only the other side has.

An `auto_map` that names a module, an import, a path in a script: whoever renames files easily forgets the
places that name them. A package that the side declares as a dependency, and a class taken over the hub
(`org/name--module.Class`), are honest references and are left out.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from detector.evidence.rare import rare
from detector.evidence.words import Words
from detector.snapshot.model import Snapshot

_DEFINED = re.compile(r"^[ \t]*class[ \t]+(\w+)", re.MULTILINE)
_PATH = re.compile(r"(?<![\w./-])\w[\w.-]*(?:/[\w.-]+)+")
_STRING = re.compile(r"""["']([A-Za-z_][\w.]*\w)["']""")
_DEPENDENCIES = re.compile(
    r"(^|/)(requirements[^/]*\.txt|setup\.(py|cfg)|pyproject\.toml|environment[^/]*\.ya?ml|poetry\.lock)$"
)
_DATA = (".json", ".yaml", ".yml", ".toml", ".cfg", ".ini")
_SCRIPTS = (".sh", ".bat", ".txt", ".md", ".rst")

What = Literal["module", "class", "path"]


@dataclass(frozen=True, slots=True)
class Reference:
    """One name that stands on one side and is defined only on the other.

    `holder` is `path:line` where it stands, `target` the other side's file that has it. `binding`: the
    reference is one that a program follows, not only text.
    """

    what: What
    text: str
    holder: str
    target: str
    binding: bool


def dangling(
    own: Snapshot, words: Words, texts: Mapping[str, str], other: Snapshot, other_words: Words
) -> tuple[Reference, ...]:
    """References of `own` that only `other` can satisfy; `texts` are own small text files by path."""
    modules = _only(_modules(other), _modules(own))
    classes = _only(_classes(other_words), _classes(words))
    paths = _only_paths(own, other)
    found: dict[tuple[str, str], Reference] = {}
    for reference in (*_imports(words, modules, texts), *_texts(texts, modules, classes, paths)):
        found.setdefault((reference.what, reference.text), reference)
    return tuple(found.values())


def _modules(snapshot: Snapshot) -> dict[str, str]:
    """Module and package names by file path."""
    modules: dict[str, str] = {}
    for file in snapshot.files:
        if file.path.endswith(".py"):
            path = PurePosixPath(file.path)
            modules.setdefault(path.stem, file.path)
            for parent in path.parent.parts:
                modules.setdefault(parent, file.path)
    return modules


def _classes(words: Words) -> dict[str, str]:
    return {name: path for path, text in words.texts.items() for name in _DEFINED.findall(text)}


def _only(theirs: Mapping[str, str], ours: Mapping[str, str]) -> dict[str, str]:
    """Names that only they have and that are unusual enough to be theirs."""
    names = [
        name for name in theirs if name not in ours and len(name) > 4 and name not in sys.stdlib_module_names
    ]
    return {name: theirs[name] for name in sorted(rare("word", names))}


def _only_paths(own: Snapshot, other: Snapshot) -> dict[str, str]:
    """Paths of two and more parts that only the other side has, with a file name that only it has."""
    names = {PurePosixPath(file.path).name for file in own.files}
    return {
        file.path: file.path
        for file in other.files
        if "/" in file.path and PurePosixPath(file.path).name not in names and len(file.path) > 12
    }


def _imports(words: Words, modules: Mapping[str, str], texts: Mapping[str, str]) -> Iterator[Reference]:
    """Relative imports of their modules; absolute ones only of what stands at the top of their repository."""
    declared = (
        "\n".join(text for path, text in texts.items() if _DEPENDENCIES.search(path))
        .lower()
        .replace("_", "-")
    )
    for statement in words.imports:
        relative = statement.module.startswith(".")
        top = statement.module.lstrip(".").partition(".")[0]
        if top in modules and (relative or _is_undeclared(top, modules[top], declared)):
            yield Reference("module", statement.module, words.show(statement.place), modules[top], True)


def _is_undeclared(top: str, target: str, declared: str) -> bool:
    first = target.removeprefix("src/").partition("/")[0].removesuffix(".py")
    return first == top and top.lower().replace("_", "-") not in declared


def _texts(
    texts: Mapping[str, str], modules: Mapping[str, str], classes: Mapping[str, str], paths: Mapping[str, str]
) -> Iterator[Reference]:
    """Paths anywhere in a text; modules and classes where a whole string of a settings file names them."""
    for path, text in texts.items():
        for number, line in enumerate(text.split("\n"), 1):
            for found in _PATH.findall(line) if "/" in line else ():
                if found in paths:
                    yield Reference("path", found, f"{path}:{number}", paths[found], False)
        for match in _STRING.finditer(text) if path.endswith(_DATA) else ():
            named = _named(match.group(1), modules, classes)
            if named is not None:
                holder = f"{path}:{text.count(chr(10), 0, match.start()) + 1}"
                yield Reference(named[0], match.group(1), holder, named[1], True)


def _named(token: str, modules: Mapping[str, str], classes: Mapping[str, str]) -> tuple[What, str] | None:
    """`module.Class` or a class alone, as settings name code."""
    module, _, name = token.rpartition(".")
    last = module.rpartition(".")[2]
    if last in modules and name[:1].isupper():
        return "module", modules[last]
    return ("class", classes[token]) if token in classes else None


def wanted(path: str) -> bool:
    """Whether a text file may hold references: settings, scripts, documents."""
    return path.endswith((*_DATA, *_SCRIPTS)) or _DEPENDENCIES.search(path) is not None
