"""The calibration as a picture: findings with E at most x against what x promises, both axes logarithmic."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10

_SIZE, _EDGE = 420, 60
_DECADES = (-3, 2)


def figure(limits: Sequence[float], found: Sequence[float]) -> str:
    """An SVG with the promised line, its factor of 3 on either side, and what was found per comparison."""
    marks = "".join(
        f'<circle cx="{_at(limit):.1f}" cy="{_SIZE - _at(count):.1f}" r="4" fill="#1c5fa8"/>'
        for limit, count in zip(limits, found, strict=True)
        if count > 0
    )
    low, high = 10.0 ** _DECADES[0], 10.0 ** _DECADES[1]
    lines = "".join(
        f'<line x1="{_at(low):.1f}" y1="{_SIZE - _at(low * factor):.1f}" x2="{_at(high):.1f}"'
        f' y2="{_SIZE - _at(high * factor):.1f}" stroke="#666" stroke-dasharray="{dash}"/>'
        for factor, dash in ((1.0, "none"), (3.0, "4 4"), (1 / 3, "4 4"))
    )
    ticks = "".join(
        f'<text x="{_at(10.0**d):.1f}" y="{_SIZE - 18}" text-anchor="middle">{10.0**d:g}</text>'
        f'<text x="{_EDGE - 8}" y="{_SIZE - _at(10.0**d) + 4:.1f}" text-anchor="end">{10.0**d:g}</text>'
        for d in range(_DECADES[0], _DECADES[1] + 1)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_SIZE}" height="{_SIZE}" font-family="sans-serif"'
        f' font-size="12"><rect width="100%" height="100%" fill="#fff"/>{lines}{marks}{ticks}'
        f'<text x="{_SIZE / 2}" y="{_SIZE - 3}" text-anchor="middle">E-value at most</text>'
        f'<text x="14" y="{_SIZE / 2}" text-anchor="middle" transform="rotate(-90 14 {_SIZE / 2})">'
        "findings for each comparison</text></svg>\n"
    )


def _at(value: float) -> float:
    """Place of a value along an axis, in pixels from its origin's side."""
    part = (log10(value) - _DECADES[0]) / (_DECADES[1] - _DECADES[0])
    return _EDGE + part * (_SIZE - 2 * _EDGE)
