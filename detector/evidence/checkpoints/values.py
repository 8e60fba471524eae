"""The numbers of a tensor, read in bounded samples from where they lie in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

from detector.evidence.checkpoints.layout import WIDTHS, Damaged, Tensor

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

SAMPLE = 2**19
"""values read of one tensor: a larger one is sampled, so that memory and time stay bounded"""
GROUPS = 16
_PLAIN = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1"},
    **{"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "u1"},
}
_Q8_VALUES, _Q8_BYTES = 32, 34
"""GGML's Q8_0: blocks of one half-precision scale and 32 signed bytes"""


def readable(tensor: Tensor) -> bool:
    """Whether `sample` can read the tensor's values."""
    known = tensor.dtype in _PLAIN or tensor.dtype in ("BF16", "F8_E4M3", "F8_E5M2", "Q8_0")
    return known and tensor.offset is not None and tensor.size > 0


def sample(stream: BinaryIO, tensor: Tensor) -> Floats:
    """Up to SAMPLE values as a float32 matrix of whole rows, taken in GROUPS evenly spaced runs of rows.

    A row is all dimensions but the first; a vector or scalar is one row. The choice depends on the shape
    alone, so two tensors of one shape give the same places. Raises Damaged when the file ends before the
    values.
    """
    import numpy as np  # noqa: PLC0415

    rows, width = dimensions(tensor)
    if rows * width <= SAMPLE:
        return _numbers(stream, tensor, 0, rows * width).reshape(rows, width)
    if width > SAMPLE // GROUPS:
        chosen = range(0, rows, -(-rows // GROUPS))
        cut = min(width, SAMPLE // len(chosen))
        return np.stack([_numbers(stream, tensor, row * width, cut) for row in chosen])
    run = SAMPLE // width // GROUPS
    starts = [group * (rows - run) // (GROUPS - 1) for group in range(GROUPS)]
    return np.concatenate([_numbers(stream, tensor, row * width, run * width) for row in starts]).reshape(
        -1, width
    )


def dimensions(tensor: Tensor) -> tuple[int, int]:
    """Rows and values in a row, see `sample`."""
    shape = tensor.shape or ()
    return (shape[0], tensor.size // shape[0]) if len(shape) > 1 and shape[0] else (1, tensor.size)


def _numbers(stream: BinaryIO, tensor: Tensor, start: int, count: int) -> Floats:
    if tensor.dtype == "Q8_0":
        return _q8(stream, tensor, start, count)
    width = WIDTHS[tensor.dtype]
    return _decoded(_bytes(stream, tensor, start * width, count * width), tensor.dtype)


def _bytes(stream: BinaryIO, tensor: Tensor, start: int, count: int) -> bytes:
    stream.seek((tensor.offset or 0) + start)
    data = stream.read(count)
    if len(data) != count:
        raise Damaged(f"it ends before the values of {tensor.name}")
    return data


def _decoded(data: bytes, dtype: str) -> Floats:
    import numpy as np  # noqa: PLC0415

    if dtype in _PLAIN:
        with np.errstate(over="ignore"):
            return np.frombuffer(data, dtype=_PLAIN[dtype]).astype(np.float32)
    if dtype == "BF16":
        return (np.frombuffer(data, dtype="<u2").astype(np.uint32) << 16).view(np.float32)
    exponent = 4 if dtype == "F8_E4M3" else 5
    return _eight_bit_table(exponent)[np.frombuffer(data, dtype=np.uint8)]


def _eight_bit_table(exponent_bits: int) -> Floats:
    """All 256 values of an 8-bit float (Micikevicius et al. 2022, "FP8 formats for deep learning")."""
    import numpy as np  # noqa: PLC0415

    mantissa_bits = 7 - exponent_bits
    bias = 2 ** (exponent_bits - 1) - 1
    codes = np.arange(256)
    exponent = (codes >> mantissa_bits) & (2**exponent_bits - 1)
    fraction = (codes & (2**mantissa_bits - 1)) / 2**mantissa_bits
    size = np.where(exponent == 0, fraction * 2.0 ** (1 - bias), (1 + fraction) * 2.0 ** (exponent - bias))
    return np.asarray(np.where(codes >= 128, -size, size), dtype=np.float32)


def _q8(stream: BinaryIO, tensor: Tensor, start: int, count: int) -> Floats:
    import numpy as np  # noqa: PLC0415

    first, last = start // _Q8_VALUES, -(-(start + count) // _Q8_VALUES)
    data = _bytes(stream, tensor, first * _Q8_BYTES, (last - first) * _Q8_BYTES)
    layout: Any = np.dtype([("scale", "<f2"), ("values", "i1", (_Q8_VALUES,))])
    units = np.frombuffer(data, dtype=layout)
    numbers = (units["scale"].astype(np.float32)[:, None] * units["values"]).reshape(-1)
    skipped = start - first * _Q8_VALUES
    return np.asarray(numbers[skipped : skipped + count], dtype=np.float32)
