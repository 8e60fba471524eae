"""What every evidence class returns: findings, renames and notices, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from detector.match.model import Rename, Site
from detector.snapshot.model import Notice

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Strength = Literal["none", "weak", "moderate", "strong", "very strong"]
"""the measured scale of docs/verdict.md, for one finding as for the whole report"""
Transformation = Literal["identical", "reformatted", "renamed", "restructured", "split", "merged", "ported"]


@dataclass(frozen=True, slots=True)
class Span:
    """A place in one side: path as in the repository, dotted qualified name, lines from 1, inclusive."""

    path: str
    name: str = ""
    start_line: int = 1
    end_line: int = 1


@dataclass(frozen=True, slots=True)
class Aligned:
    """Lines of A that correspond to lines of B (1-based, inclusive), with the bits they share.

    `a` and `b` say which span of the finding (index into `Finding.a` / `Finding.b`) the lines lie in.
    """

    a_start: int
    a_end: int
    b_start: int
    b_end: int
    bits: float
    a: int = 0
    b: int = 0


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a finding counts: one shared thing in words, its bits, where it stands on either side."""

    text: str
    bits: float
    a_line: int = 0
    b_line: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """One correspondence between the two sides, with its evidence.

    `bits` is the information shared beyond coincidence; `e_value` the number of findings this strong to
    expect by chance in a comparison of this size (None where a class has no such law: then `strength`
    follows the stated scale of its page in docs/evidence/). `explained_by` names upstreams or common
    public code that account for it; such findings are set apart and do not count towards the verdict.
    `details` is what the kind's own view shows.
    """

    kind: str
    title: str
    strength: Strength
    bits: float
    a: tuple[Span, ...]
    b: tuple[Span, ...]
    e_value: float | None = None
    lines: tuple[Aligned, ...] = ()
    renames: tuple[Rename, ...] = ()
    transformations: tuple[Transformation, ...] = ()
    explained_by: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    details: Mapping[str, Json] = field(default_factory=dict)
    id: str = ""
    """stable between runs: a digest of kind and places; set when the report is assembled"""


@dataclass(frozen=True, slots=True)
class Node:
    """A unit in the correspondence graph. id: "a:path::name" or "b:path::name"."""

    id: str
    side: Literal["a", "b"]
    path: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Edge:
    """kind: "match" across the sides; "contains", "calls", "inherits", "instantiates" within one."""

    source: str
    target: str
    kind: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Graph:
    """Units that take part in a match and how they are joined."""

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of one side was looked at: units, lines of code; and the share of its bits that those findings
    cover which nothing explains.
    """

    units: int = 0
    lines: int = 0
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Event:
    """A point of the timeline: ISO 8601 time, side, commit, what happened."""

    at: str
    side: Literal["a", "b"]
    commit: str
    text: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that one evidence class found. Only the code class fills `graph` and the extents."""

    findings: tuple[Finding, ...] = ()
    renames: tuple[Rename, ...] = ()
    notices: tuple[Notice, ...] = ()
    events: tuple[Event, ...] = ()
    graph: Graph = Graph()
    extent_a: Extent = Extent()
    extent_b: Extent = Extent()
    chance_findings: float | None = None
    """expected number of findings by coincidence at the threshold used"""
    link: float | None = None
    """log2 of how much likelier a copy is than another hand to leave the numbers that the class looked at: in
    all code (leftovers), or in what matches, where its text was not kept (code)"""
    stopped: bool = False
    """whether the class ended on an error, so that its findings are missing"""


__all__ = [
    "Aligned",
    "Edge",
    "Event",
    "Evidence",
    "Extent",
    "Finding",
    "Graph",
    "Json",
    "Node",
    "Reason",
    "Rename",
    "Site",
    "Span",
    "Strength",
    "Transformation",
]
