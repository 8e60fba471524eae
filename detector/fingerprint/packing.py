"""Fingerprints as a few plain arrays: what is kept between runs, and what one process hands to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, pairwise
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.fingerprint.fingerprint import Fingerprint
from detector.unit.unit import Unit

Arrays: TypeAlias = "Mapping[str, NDArray[Any]]"
_ROWS = ("places", "statements", "nodes")
_EMPTY: Mapping[str, NDArray[Any]] = {
    "terms": np.zeros((0, 5), np.int64),
    "places": np.zeros(0, np.int32),
    "statements": np.zeros((0, 4), np.int32),
    "nodes": np.zeros(0, np.int32),
}


def packed(units: Sequence[Fingerprint]) -> dict[str, NDArray[Any]]:
    """The arrays of all units one after the other, where each ends, and the rest as JSON."""
    arrays = {
        key: np.concatenate([none, *(getattr(each, key) for each in units)]) for key, none in _EMPTY.items()
    }
    lengths = [[len(getattr(each, key)) for key in _ROWS] for each in units]
    ends = np.cumsum(np.array(lengths, np.int64).reshape(-1, len(_ROWS)), axis=0)
    rest = msgspec.json.encode([_row(each) for each in units])
    return {**arrays, "ends": ends, "rest": np.frombuffer(rest, np.uint8)}


def unpacked(arrays: Arrays) -> list[Fingerprint]:
    """The inverse of `packed`. Raises ValueError, LookupError or TypeError for what that did not write."""
    rest = msgspec.json.decode(arrays["rest"].tobytes())
    borders = pairwise(chain([[0] * len(_ROWS)], arrays["ends"].tolist()))
    return [_unit(arrays, row, *span) for row, span in zip(rest, borders, strict=True)]


def _row(each: Fingerprint) -> list[Any]:
    unit = each.unit
    place = (unit.path, unit.name, unit.kind, unit.start_line, unit.end_line, unit.blob, unit.parameters)
    return [place, each.names, each.calls, each.bases, each.skipped]


def _unit(arrays: Arrays, row: list[Any], starts: Sequence[int], ends: Sequence[int]) -> Fingerprint:
    (path, name, kind, first, last, blob, parameters), names, calls, bases, skipped = row
    nodes, statements, named = (slice(*span) for span in zip(starts, ends, strict=True))
    return Fingerprint(
        Unit(path, name, kind, first, last, blob, tuple(parameters)),
        arrays["terms"][nodes],
        arrays["places"][nodes],
        arrays["statements"][statements],
        tuple(names),
        arrays["nodes"][named],
        tuple(calls),
        tuple(bases),
        skipped,
    )
