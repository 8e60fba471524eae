"""safetensors: eight bytes of length, a JSON header, then the values.

The `safetensors` package opens local paths only and maps the whole file; thirty lines read the same header
from a git blob, a local file or by HTTP range alike, and no more than the header.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

from detector.evidence.checkpoints.layout import (
    TENSORS,
    WIDTHS,
    Damaged,
    Layout,
    Tensor,
    checked_shape,
    exactly,
    parsed_object,
)


def read(stream: BinaryIO, path: str) -> Layout:
    """The tensors of a safetensors header. Raises Damaged when the header cannot be one."""
    (length,) = struct.unpack("<Q", exactly(stream, 8))
    entries = parsed_object(exactly(stream, length))
    entries.pop("__metadata__", None)
    if len(entries) > TENSORS:
        raise Damaged(f"it lists more than {TENSORS} tensors")
    tensors = tuple(_tensor(name, entry, path, 8 + length) for name, entry in entries.items())
    return Layout(
        path, "safetensors", tensors, sum(tensor.size * WIDTHS.get(tensor.dtype, 0) for tensor in tensors)
    )


def _tensor(name: str, entry: Any, path: str, start: int) -> Tensor:
    if not isinstance(entry, dict):
        raise Damaged("its header is not a table of tensors")
    shape = checked_shape(entry.get("shape"))
    dtype = str(entry.get("dtype", ""))[:20]
    tensor = Tensor(name, shape, dtype, path)
    span = entry.get("data_offsets")
    if not isinstance(span, list) or len(span) != 2 or any(type(end) is not int or end < 0 for end in span):
        raise Damaged("its header gives a tensor without data_offsets")
    if dtype in WIDTHS and span[1] - span[0] != tensor.size * WIDTHS[dtype]:
        raise Damaged("its header gives a tensor whose size contradicts its shape")
    return Tensor(name, shape, dtype, path, start + span[0] if dtype in WIDTHS else None)
