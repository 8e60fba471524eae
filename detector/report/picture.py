"""Geometry of the two repositories side by side: files as blocks, ribbons between matched files."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

from detector.report.model import FileExtent, Report

WIDTH, COLUMN, LABELS = 960.0, 30.0, 290.0
"""pixels: whole picture, one column of blocks, the room for file names beside it"""
HEIGHT, LEAST = 560.0, 15.0
"""pixels: a column, and the lowest block that still holds a label"""
MOST_BLOCKS = 30
MOST_RIBBONS = 200
MOST_ROWS = 60
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Block:
    """A file, or the rest of them, of one side; `matched` is the part of its lines that findings cover."""

    label: str
    lines: int
    matched: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Ribbon:
    """A matched pair of blocks as an SVG path; the stroke grows with the square root of the bits."""

    path: str
    stroke: float
    a: str
    b: str
    bits: float
    explained: bool


@dataclass(frozen=True, slots=True)
class Pair:
    """A row of the table that says the same in words."""

    a: str
    b: str
    findings: int
    bits: float


@dataclass(frozen=True, slots=True)
class Picture:
    """All that the template draws. Lengths are in pixels of the SVG's own coordinates."""

    a: tuple[Block, ...]
    b: tuple[Block, ...]
    ribbons: tuple[Ribbon, ...]
    pairs: tuple[Pair, ...]
    height: float


def picture(report: Report) -> Picture:
    """Lay out the overview picture of a report."""
    totals: dict[tuple[str, str, bool], list[float]] = defaultdict(list)
    for finding in report.findings:
        if finding.a and finding.b:
            totals[finding.a[0].path, finding.b[0].path, bool(finding.explained_by)].append(finding.bits)
    left, at_left = _column(report.files, "a", {a: sum(bits) for (a, _, _), bits in totals.items()})
    right, at_right = _column(report.files, "b", {b: sum(bits) for (_, b, _), bits in totals.items()})
    pairs = sorted((Pair(a, b, len(bits), sum(bits)) for (a, b, _), bits in totals.items()), key=_strongest)
    height = max((block.y + block.height for block in (*left, *right)), default=0.0)
    return Picture(left, right, _ribbons(totals, at_left, at_right), tuple(pairs[:MOST_ROWS]), height)


def _strongest(pair: Pair) -> tuple[float, str, str]:
    return (-pair.bits, pair.a, pair.b)


def _column(
    files: tuple[FileExtent, ...], side: Literal["a", "b"], bits: dict[str, float]
) -> tuple[tuple[Block, ...], dict[str, Block]]:
    """The blocks of one side, and the block in which each path lies."""
    known = {file.path: file for file in files if file.side == side}
    for path in bits:
        known.setdefault(path, FileExtent(side, path, "", 0, 0))
    ranked = sorted(known.values(), key=lambda file: (-bits.get(file.path, 0.0), -file.lines, file.path))
    chosen = sorted(ranked[:MOST_BLOCKS], key=lambda file: file.path)
    rest = ranked[MOST_BLOCKS:]
    groups = [[file] for file in chosen] + ([rest] if rest else [])
    total = sum(file.lines for file in known.values()) or 1
    free = max(HEIGHT - LEAST * len(groups), 0.0)
    blocks, at, y = [], {}, 0.0
    for group in groups:
        lines = sum(file.lines for file in group)
        matched = min(sum(file.matched_lines for file in group) / lines, 1.0) if lines else 0.0
        label = group[0].path if group is not rest else f"{len(rest):,} more files"
        block = Block(label, lines, matched, y, LEAST + free * lines / total - 2)
        blocks.append(block)
        at.update({file.path: block for file in group})
        y += block.height + 2
    return tuple(blocks), at


def _ribbons(
    totals: dict[tuple[str, str, bool], list[float]], left: dict[str, Block], right: dict[str, Block]
) -> tuple[Ribbon, ...]:
    ranked = sorted(totals.items(), key=lambda item: (-sum(item[1]), item[0]))[:MOST_RIBBONS]
    most = max((sum(bits) for _, bits in ranked), default=1.0) or 1.0
    drawn = []
    for (a, b, explained), bits in ranked:
        stroke = 1.0 + 13.0 * math.sqrt(max(sum(bits), 0.0) / most)
        start, end = _middle(left[a]), _middle(right[b])
        x0, x1 = LABELS + COLUMN, WIDTH - LABELS - COLUMN
        bend = (x0 + x1) / 2
        path = f"M{x0:g} {start:.1f}C{bend:g} {start:.1f} {bend:g} {end:.1f} {x1:g} {end:.1f}"
        stroke = min(stroke, left[a].height, right[b].height)
        drawn.append(Ribbon(path, round(stroke, 1), a, b, sum(bits), explained))
    return tuple(drawn)


def _middle(block: Block) -> float:
    return block.y + block.height / 2
