"""GGUF (llama.cpp): a counted list of typed metadata, then a counted list of tensors.

The `gguf` package maps a whole local file and trusts its counts; this walker reads any stream, skips what it
does not need and believes no count beyond the bounds. Format: ggml/docs/gguf.md, versions 2 and 3.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from detector.evidence.checkpoints.layout import (
    DIMENSIONS,
    TENSORS,
    Damaged,
    Layout,
    Tensor,
    checked_shape,
    exactly,
)

_SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""metadata value type -> bytes"""
_STRING, _ARRAY = 8, 9
_ELEMENTS = 2_000_000
"""strings in all arrays together: the vocabulary of a tokenizer has up to 260,000 tokens"""
_DTYPES = {0: "F32", 1: "F16", 8: "Q8_0", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 30: "BF16"}
_READABLE = frozenset(_DTYPES.values())


def read(stream: BinaryIO, path: str) -> Layout:
    """The tensors of a GGUF header. Raises Damaged when the header cannot be one."""
    if exactly(stream, 4) != b"GGUF":
        raise Damaged("it does not start as a GGUF file does")
    version, count, pairs = struct.unpack("<IQQ", exactly(stream, 20))
    if version not in (2, 3):
        raise Damaged(f"its GGUF version {version} is not known")
    if count > TENSORS or pairs > TENSORS:
        raise Damaged("it claims more tensors or metadata than any model has")
    alignment, budget = 32, [_ELEMENTS]
    for _ in range(pairs):
        key = _text(stream)
        kind = _number(stream, "<I")
        value = _skip_value(stream, kind, budget)
        if key == "general.alignment" and value:
            alignment = value
    tensors = [_tensor(stream, path) for _ in range(count)]
    start = -(-stream.tell() // alignment) * alignment
    return Layout(path, "gguf", tuple(_placed(tensor, start) for tensor in tensors))


def _number(stream: BinaryIO, form: str) -> int:
    return int(struct.unpack(form, exactly(stream, struct.calcsize(form)))[0])


def _text(stream: BinaryIO) -> str:
    return exactly(stream, _number(stream, "<Q")).decode("utf-8", "replace")


def _skip_value(stream: BinaryIO, kind: int, budget: list[int]) -> int:
    """Read past one metadata value; the value itself for a 32-bit whole number, else 0."""
    if kind == _STRING:
        _text(stream)
        return 0
    if kind in (4, 5):
        return _number(stream, "<I")
    if kind in _SCALARS:
        exactly(stream, _SCALARS[kind])
        return 0
    if kind != _ARRAY:
        raise Damaged(f"it holds a value of the unknown type {kind}")
    inner, count = _number(stream, "<I"), _number(stream, "<Q")
    if inner in _SCALARS:
        exactly(stream, _SCALARS[inner] * count)
    elif inner == _STRING:
        budget[0] -= count
        if budget[0] < 0:
            raise Damaged("it claims more strings than any tokenizer has")
        for _ in range(count):
            _text(stream)
    else:
        raise Damaged("it nests arrays of arrays")
    return 0


def _tensor(stream: BinaryIO, path: str) -> Tensor:
    """One entry of the tensor list; `offset` is still relative to the data section."""
    name = _text(stream)
    rank = _number(stream, "<I")
    if rank > DIMENSIONS:
        raise Damaged("it gives a tensor with impossible dimensions")
    sizes = checked_shape([_number(stream, "<Q") for _ in range(rank)])
    kind, offset = _number(stream, "<I"), _number(stream, "<Q")
    return Tensor(name, sizes[::-1], _DTYPES.get(kind, f"GGML_{kind}"), path, offset)


def _placed(tensor: Tensor, start: int) -> Tensor:
    offset = start + (tensor.offset or 0) if tensor.dtype in _READABLE else None
    return Tensor(tensor.name, tensor.shape, tensor.dtype, tensor.file, offset)
