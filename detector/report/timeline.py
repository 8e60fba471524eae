"""Geometry of the two histories on one axis of time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timezone

from detector.evidence.finding import Event
from detector.report.model import Report
from detector.report.text import one_line, width

WIDTH, LEFT, RIGHT = 960.0, 40.0, 24.0
LANE, LETTER = 16.0, 6.3
"""pixels: height of one line of labels, width of a letter"""
MOST_LANES = 4
"""lines of labels on each side; events that find no room keep their dot and their row in the list"""


@dataclass(frozen=True, slots=True)
class Mark:
    """An event: dot at (x, axis), label beginning at (label_x, label_y) or empty where there is no room."""

    event: Event
    x: float
    label: str = ""
    label_x: float = 0.0
    lane: int = 0
    label_y: float = 0.0


@dataclass(frozen=True, slots=True)
class Timeline:
    """All that the template draws; A's labels stand above the axis and B's below. `ticks` are (x, label)."""

    marks: tuple[Mark, ...]
    ticks: tuple[tuple[float, str], ...]
    axis: float
    height: float


def timeline(report: Report) -> Timeline | None:
    """Lay out the timeline; None where no event has a time that can be read."""
    dated = [(moment, event) for event in report.events if (moment := _moment(event.at)) is not None]
    if not dated:
        return None
    dated.sort(key=lambda item: (item[0], item[1].side, item[1].text))
    first, last = dated[0][0], dated[-1][0]
    span = max(last - first, 3600.0)
    ends: dict[tuple[str, int], float] = {}
    placed = [_placed(event, _x((moment - first) / span), ends) for moment, event in dated]
    above, below = (1 + max((lane for side, lane in ends if side == name), default=0) for name in "ab")
    axis = LANE * above + 14
    marks = tuple(replace(mark, label_y=_height(mark.event.side, mark.lane, axis)) for mark in placed)
    return Timeline(marks, _ticks(first, span), axis, axis + LANE * below + 22)


def _moment(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, OverflowError):
        return None


def _x(part: float) -> float:
    return round(LEFT + part * (WIDTH - LEFT - RIGHT), 1)


def _placed(event: Event, x: float, ends: dict[tuple[str, int], float]) -> Mark:
    """Find the nearest line with room for the label; `ends` holds where each line's last label ends."""
    label = one_line(event.text, 48)
    length = width(label) * LETTER + 10
    start = min(x, WIDTH - RIGHT - length)
    for lane in range(MOST_LANES):
        if ends.get((event.side, lane), 0.0) <= start:
            ends[event.side, lane] = start + length
            return Mark(event, x, label, round(start, 1), lane)
    return Mark(event, x)


def _height(side: str, lane: int, axis: float) -> float:
    return axis - 16 - LANE * lane if side == "a" else axis + 26 + LANE * lane


def _ticks(first: float, span: float) -> tuple[tuple[float, str], ...]:
    form = "%Y-%m-%d" if span > 4 * 86400 else "%m-%d %H:%M"
    moments = [first + span * part / 4 for part in range(5)]
    labels = [datetime.fromtimestamp(moment, timezone.utc).strftime(form) for moment in moments]
    return tuple((_x(part / 4), label) for part, label in enumerate(labels))
