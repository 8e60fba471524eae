"""ONNX: the initializers of a graph, found by walking protobuf fields.

The `onnx` package parses the whole message with protobuf's C++ code and is far larger than all of Uncrib;
the few fields needed here are four levels of length-prefixed fields, walked without reading the values.
Field numbers: onnx.proto (ModelProto.graph 7; GraphProto.initializer 5; TensorProto dims 1, data_type 2,
name 8, raw_data 9).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from detector.evidence.checkpoints.layout import (
    DIMENSIONS,
    TENSORS,
    WIDTHS,
    Damaged,
    Layout,
    Tensor,
    checked_shape,
    exactly,
)

_DTYPES = {
    **{1: "F32", 2: "U8", 3: "I8", 4: "U16", 5: "I16", 6: "I32", 7: "I64", 9: "BOOL"},
    **{10: "F16", 11: "F64", 12: "U32", 13: "U64", 16: "BF16", 17: "F8_E4M3", 19: "F8_E5M2"},
}
_NUMBER, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
"""protobuf wire types"""
_FIELDS = 1_000_000
"""fields walked in one file, nodes of the graph included"""


def read(stream: BinaryIO, path: str) -> Layout:
    """The initializers of an ONNX model. Raises Damaged when the file cannot be one."""
    end = stream.seek(0, 2)
    stream.seek(0)
    budget = [_FIELDS]
    tensors: list[Tensor] = []
    for field, wire, size in _fields(stream, end, budget):
        if (field, wire) != (7, _BYTES):
            continue
        for inner, kind, length in _fields(stream, stream.tell() + size, budget):
            if (inner, kind) == (5, _BYTES):
                tensors.append(_tensor(stream, stream.tell() + length, path, budget))
                if len(tensors) > TENSORS:
                    raise Damaged(f"it lists more than {TENSORS} tensors")
    if not tensors:
        raise Damaged("it holds no ONNX graph with initializers")
    return Layout(path, "onnx", tuple(tensors))


def _tensor(stream: BinaryIO, end: int, path: str, budget: list[int]) -> Tensor:
    shape: list[int] = []
    name, dtype, offset = "", "", None
    for field, wire, value in _fields(stream, end, budget):
        if field == 1 and wire == _NUMBER:
            shape.append(value)
        elif field == 1:
            stop = stream.tell() + value
            while stream.tell() < stop and len(shape) <= DIMENSIONS:
                shape.append(_varint(stream))
        elif field == 2:
            dtype = _DTYPES.get(value, f"ONNX_{value}")
        elif field == 8 and wire == _BYTES:
            name = exactly(stream, value).decode("utf-8", "replace")
        elif field == 9 and wire == _BYTES:
            offset = stream.tell()
    return Tensor(name, checked_shape(shape), dtype, path, offset if dtype in WIDTHS else None)


def _varint(stream: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = stream.read(1)
        if not byte:
            break
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise Damaged("it holds a number without an end")


def _fields(stream: BinaryIO, end: int, budget: list[int]) -> Iterator[tuple[int, int, int]]:
    """Field number, wire type and value (wire type 2: length) of each field up to `end`.

    The stream stands at the content of a length-prefixed field when it is yielded, and is moved past it
    afterwards.
    """
    while stream.tell() < end:
        budget[0] -= 1
        if budget[0] < 0:
            raise Damaged(f"it holds more than {_FIELDS} fields")
        tag = _varint(stream)
        wire = tag & 7
        if wire in (_FIXED_64, _FIXED_32):
            stream.seek(8 if wire == _FIXED_64 else 4, 1)
            continue
        if wire not in (_NUMBER, _BYTES):
            raise Damaged("it is not a protobuf message")
        value = _varint(stream)
        after = stream.tell() + (value if wire == _BYTES else 0)
        if after > end:
            raise Damaged("a field claims more bytes than there are")
        yield tag >> 3, wire, value
        stream.seek(after)
