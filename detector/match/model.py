"""What matching says of names, as plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Site:
    """One place where a rename shows."""

    a_path: str
    a_line: int
    b_path: str
    b_line: int


@dataclass(frozen=True, slots=True)
class Rename:
    """A name of A and the name of B that stands in its place.

    `agreeing` counts the sites where both stand in corresponding places, `contradicting` those where
    either stands opposite to another name. kind: "function", "class", "attribute", "parameter",
    "variable", "module" from code; evidence classes add their own ("key", "tensor", "file").
    """

    kind: str
    a: str
    b: str
    agreeing: int
    contradicting: int = 0
    sites: tuple[Site, ...] = ()
