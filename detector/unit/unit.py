"""Units: the pieces of code that are compared with each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

UnitKind = Literal["function", "method", "class", "module"]


@dataclass(frozen=True, slots=True)
class Unit:
    """A function, a method, a class body without its methods, or the module-level code of a file.

    `name` is the dotted qualified name in the file (`Projection.forward`; a module's is its file's
    stem). Lines are 1-based and inclusive, decorators counted in. `blob` is the file's git blob id.
    """

    path: str
    name: str
    kind: UnitKind
    start_line: int
    end_line: int
    blob: str = ""
    parameters: tuple[str, ...] = ()

    @property
    def lines(self) -> int:
        """How many lines the unit spans."""
        return self.end_line - self.start_line + 1
