"""What a checkpoint file says of its tensors, and the bounds within which the readers believe it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, BinaryIO

HEADER_BYTES = 64 * 2**20
"""a longer header is not read: a model of 100,000 tensors needs about 15 MB"""
TENSORS = 200_000
"""a file that lists more is refused"""
DIMENSIONS = 16

WIDTHS = {
    **{"F64": 8, "I64": 8, "U64": 8, "C64": 8, "C128": 16},
    **{"F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2},
    **{"I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1},
}
"""bytes of one value, by the safetensors names of dtypes, which all readers use"""


class Damaged(ValueError):
    """The file is not what its name says, or exceeds a bound; the message says how, for a Notice."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One named tensor. `shape` is in rows-first order; None where the file gives names only.

    `offset` is where its contiguous values start in `file` (bytes), None where they cannot be read in place.
    """

    name: str
    shape: tuple[int, ...] | None = None
    dtype: str = ""
    file: str = ""
    offset: int | None = None

    @property
    def size(self) -> int:
        """Number of values; 0 where the shape is not known."""
        return math.prod(self.shape) if self.shape is not None else 0


@dataclass(frozen=True, slots=True)
class Layout:
    """The tensors of one file, in the file's order, and the total size in bytes that it states, if any."""

    path: str
    format: str
    tensors: tuple[Tensor, ...]
    total_size: int | None = None
    remarks: tuple[str, ...] = ()
    """what a reader should know of the file, for Notices (for example code that a pickle would run)"""


def exactly(stream: BinaryIO, count: int) -> bytes:
    """The next `count` bytes. Raises Damaged when they are too many to be a header, or not there."""
    if not 0 <= count <= HEADER_BYTES:
        raise Damaged(f"its header claims {count} bytes; at most {HEADER_BYTES} are read")
    data = stream.read(count)
    if len(data) != count:
        raise Damaged("it ends in the middle of its header")
    return data


def parsed_object(data: bytes) -> dict[str, Any]:
    """A JSON object. Raises Damaged for anything else, too deep nesting included."""
    try:
        value = json.loads(data)
    except RecursionError:
        raise Damaged("its JSON is nested too deeply") from None
    except ValueError:
        raise Damaged("it is not valid JSON") from None
    if not isinstance(value, dict):
        raise Damaged("its JSON is not an object")
    return value


def checked_shape(values: Any) -> tuple[int, ...]:
    """A shape as a tuple. Raises Damaged for what cannot be one."""
    if not isinstance(values, (list, tuple)) or len(values) > DIMENSIONS:
        raise Damaged("it gives something that is not a shape")
    if any(type(value) is not int or not 0 <= value < 2**48 for value in values):
        raise Damaged("it gives a shape with impossible dimensions")
    return tuple(values)
