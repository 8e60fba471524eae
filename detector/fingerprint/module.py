"""What a file's top-level names stand for: imports from outside, the repository's own, constants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from detector.fingerprint.api import public
from detector.fingerprint.binding import Bindings
from detector.fingerprint.term import VARIABLE, Term
from detector.unit.source import Source


@dataclass(frozen=True, slots=True)
class Roots:
    """Names under which a repository imports itself: its packages and modules, by folder."""

    top: frozenset[str]
    siblings: dict[str, frozenset[str]]

    @classmethod
    def of(cls, paths: Iterable[str]) -> Roots:
        """Read the roots off the paths of a repository's Python files."""
        top: set[str] = set()
        folders: dict[str, set[str]] = {}
        for path in paths:
            parts = path.removesuffix(".py").removesuffix(".ipynb").split("/")
            start = 1 if parts[0] in ("src", "lib", "python") and len(parts) > 1 else 0
            top.add(parts[start])
            for depth in range(len(parts)):
                folders.setdefault("/".join(parts[:depth]), set()).add(parts[depth])
        return cls(frozenset(top), {folder: frozenset(names) for folder, names in folders.items()})

    def own(self, path: str, target: str) -> bool:
        """Does a dotted import in the file at `path` lead back into the repository?"""
        if target.startswith("."):
            return True
        first = target.partition(".")[0]
        return first in self.top or first in self.siblings.get(path.rpartition("/")[0], ())


def own(name: str) -> Term:
    """A function, class or module of the repository itself: a leaf, as a copier may rename it."""
    return VARIABLE._replace(fact=("own", name))


@dataclass(frozen=True, slots=True)
class Module:
    """Top-level names as values; `bound` are all names that the file binds at the top, `stars` the outside
    modules whose names were all imported. `source` is the file's text, a character for each byte of UTF-8;
    `interrupted` are the nodes (by id) with a comment or a line continuation among their children.
    """

    path: str
    source: str
    interrupted: frozenset[int]
    values: dict[str, Term]
    bound: frozenset[str]
    stars: tuple[str, ...]


def module(source: Source, found: Bindings, roots: Roots) -> Module:
    """The values of imported names and of the functions and classes defined at the top."""
    path, values, stars = source.path, dict[str, Term](), list[str]()
    for item in found.imports:
        inside = roots.own(path, item.target)
        if item.name != "*":
            values[item.name] = own(item.target.rpartition(".")[2]) if inside else public(item.target)
        elif not inside:
            stars.append(item.target)
    for scope in found.scopes:
        if scope.name and scope.parent is found.scopes[0]:
            values[scope.name] = own(scope.name)
    bound = frozenset(found.scopes[0].names)
    return Module(path, source.text.decode("latin-1"), found.interrupted, values, bound, tuple(stars))
