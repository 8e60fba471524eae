"""Geometry of the bits plot: every finding on one axis of bits, over what chance reaches."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from detector.evidence.finding import Finding
from detector.report.model import Report
from detector.report.wording import KINDS, kind_label

WIDTH, LEFT, RIGHT = 960.0, 130.0, 24.0
ROW, DOT = 44.0, 4.0
"""pixels: height of an evidence class's row, radius of a dot"""
MOST_DOTS = 300
"""dots of one row; further findings fall on dots that are already there"""


@dataclass(frozen=True, slots=True)
class Dot:
    """A finding at its bits; dots that would overlap are stacked."""

    x: float
    y: float
    title: str
    id: str
    explained: bool


@dataclass(frozen=True, slots=True)
class Row:
    """An evidence class: its name at `y`, its dots."""

    label: str
    y: float
    dots: tuple[Dot, ...]


@dataclass(frozen=True, slots=True)
class Chance:
    """Where unrelated code falls: the outline of the density, and the bits at which E is 1 and 0.01."""

    outline: str
    one: float
    hundredth: float
    one_bits: float
    hundredth_bits: float


@dataclass(frozen=True, slots=True)
class Plot:
    """All that the template draws, in the SVG's own pixels; `ticks` are (x, label)."""

    rows: tuple[Row, ...]
    ticks: tuple[tuple[float, str], ...]
    chance: Chance | None
    height: float


def plot(report: Report) -> Plot | None:
    """Lay out the bits plot; None where there is no finding."""
    rows: dict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        if finding.bits > 0:
            rows[finding.kind].append(finding)
    if not rows:
        return None
    law = _law(report.findings)
    scores = [finding.bits for row in rows.values() for finding in row]
    low, high = min(scores), max(scores)
    if law:
        low, high = min(low, law[0] - 4 * law[1]), max(high, law[0] + 6 * law[1])
    axis = _Axis(max(low * 0.85, 1.0), high * 1.15)
    order = [kind for kind in KINDS if kind in rows] + sorted(set(rows) - set(KINDS))
    drawn = tuple(_row(kind, rows[kind], ROW * (index + 1), axis) for index, kind in enumerate(order))
    chance = _chance(law, axis, drawn[0].y) if law and order[0] == "code" else None
    return Plot(drawn, axis.ticks(), chance, ROW * len(order) + 14)


@dataclass(frozen=True, slots=True)
class _Axis:
    """A logarithmic axis of bits."""

    low: float
    high: float

    def x(self, bits: float) -> float:
        part = math.log(max(bits, self.low) / self.low) / math.log(self.high / self.low)
        return round(LEFT + part * (WIDTH - LEFT - RIGHT), 1)

    def ticks(self) -> tuple[tuple[float, str], ...]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        marks = [step * 10.0**decade for decade in decades for step in (1, 2, 5)]
        return tuple((self.x(mark), f"{mark:,.0f}") for mark in marks if self.low <= mark <= self.high)


def _row(kind: str, findings: list[Finding], y: float, axis: _Axis) -> Row:
    stacked: dict[int, int] = defaultdict(int)
    dots = []
    for finding in findings[:MOST_DOTS]:
        x = axis.x(finding.bits)
        level = stacked[int(x // (DOT * 1.5))]
        stacked[int(x // (DOT * 1.5))] += 1
        if level < ROW / (DOT * 1.2) - 3:
            y_dot = round(y - DOT - 1 - level * DOT * 1.2, 1)
            dots.append(Dot(x, y_dot, finding.title, finding.id, bool(finding.explained_by)))
    return Row(kind_label(kind), y, tuple(dots))


def _law(findings: tuple[Finding, ...]) -> tuple[float, float] | None:
    """(location, scale) of the extreme-value law that the findings' E-values follow; None if they show none.

    Expected coincidences fall off as E = exp((location - bits) / scale) (Karlin and Altschul 1990), so a
    least-squares line through (bits, ln E) of the code findings gives both. The report carries E for each
    finding by its own sizes; the line is what a finding of ordinary size in this comparison would get.
    """
    points = [
        (finding.bits, math.log(finding.e_value))
        for finding in findings
        if finding.kind == "code" and finding.e_value is not None and finding.e_value > 1e-290
    ]
    if len(points) < 3:
        return None
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
    if slope >= 0:
        return None
    location = mean_x - mean_y / slope
    return (location, -1 / slope) if location > 1 else None


def _chance(law: tuple[float, float], axis: _Axis, base: float) -> Chance:
    """Outline of the Gumbel density of the best score that chance reaches, standing on `base`."""
    location, scale = law
    steps = [axis.low * (axis.high / axis.low) ** (index / 240) for index in range(241)]
    points = []
    for step in steps:
        z = (step - location) / scale
        density = math.exp(-z - math.exp(-z)) * math.e if z > -20 else 0.0
        if density > 1e-3:
            points.append(f"{axis.x(step):g} {base - density * (ROW - 10):.1f}")
    first, last = (points[0].split()[0], points[-1].split()[0]) if points else ("0", "0")
    outline = f"M{first} {base:g}L" + "L".join(points) + f"L{last} {base:g}Z" if points else ""
    rare = location + scale * math.log(100)
    return Chance(outline, axis.x(location), axis.x(rare), location, rare)
