"""The report: everything a renderer shows, computed once, as frozen data.

docs/report-schema.md is its JSON form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from detector.evidence.finding import Event, Finding, Graph, Json, Rename, Strength
from detector.snapshot.model import Notice

SCHEMA = "https://uncrib.dev/schema/report-1.json"
LARGEST = 1e12
"""the largest weight in a report: JSON has no infinity, and what is larger says nothing more"""


@dataclass(frozen=True, slots=True)
class Tool:
    """What made the report. `options` holds those that differ from the default."""

    name: str
    version: str
    background: str
    options: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two repositories, as it was read."""

    source: str
    label: str
    commit: str | None
    committed_at: str | None
    files: int
    units: int
    lines: int
    web: str | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """The verdict on its measured scale, and what it rests on (docs/verdict.md).

    `bits` are those of independent findings that are moderate or stronger and that nothing explains: two
    hands' likeness adds none, and nothing counts twice. Shares are parts (0 to 1) of each side's information
    that findings cover which nothing explains.
    """

    verdict: Strength
    sentence: str
    bits: float
    share_a: float
    share_b: float
    rests_on: tuple[str, ...] = ()
    would_change: tuple[str, ...] = ()
    chance_findings: float | None = None


@dataclass(frozen=True, slots=True)
class Class:
    """A row of the dossier: one evidence class that ran, how much it found, its strongest finding's id."""

    name: str
    findings: int
    set_apart: int
    strength: Strength
    strongest: str | None = None
    e_value: float | None = None


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Lines of a file that a finding shows. Text is decoded; `start_line` is the number of its first line."""

    side: Literal["a", "b"]
    path: str
    blob: str
    start_line: int
    text: str


@dataclass(frozen=True, slots=True)
class FileExtent:
    """One file of a side for the overview picture: lines, and the lines that findings cover."""

    side: Literal["a", "b"]
    path: str
    blob: str
    lines: int
    matched_lines: int


@dataclass(frozen=True, slots=True)
class Report:
    """The whole result of a comparison. Findings are ordered: counting ones first, then by bits."""

    tool: Tool
    a: Side
    b: Side
    summary: Summary
    classes: tuple[Class, ...]
    findings: tuple[Finding, ...]
    renames: tuple[Rename, ...]
    graph: Graph
    events: tuple[Event, ...]
    warnings: tuple[Notice, ...]
    excerpts: tuple[Excerpt, ...]
    files: tuple[FileExtent, ...]
    schema: str = SCHEMA
