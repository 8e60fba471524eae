"""Named arrays in one memory-mapped file: the form in which the background ships.

Worker processes that open the same file share its pages. The layout, all numbers little-endian:

    8 bytes   magic
    4 bytes   format
    4 bytes   length of the header
    8 bytes   BLAKE2b of the header
    header    JSON: {"about": ..., "arrays": {name: [dtype, length, offset]}, "size": ..., "content": ...}
    arrays    each one-dimensional, at a multiple of 64 bytes

NumPy's own `.npz` cannot be memory-mapped, and a folder of `.npy` files could be copied in part.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from detector.errors import UncribError

MAGIC = b"UNCRIBBG"
FORMAT = 1
_HEAD = struct.Struct("<8sII8s")
_ALIGN = 64
_DTYPES = frozenset({"|u1", "<u2", "<u4", "<u8", "<f4"})


@dataclass(frozen=True, slots=True)
class Archive:
    """An opened file: what it says about itself, and its arrays, read-only."""

    path: Path
    about: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray[Any, Any]]
    content: str
    """BLAKE2b of all arrays, as recorded when it was written"""

    def intact(self) -> bool:
        """Whether the arrays still are what was written; reads the whole file."""
        return _content(self.arrays) == self.content


def write_archive(path: Path, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Write all arrays, or leave the path as it was."""
    plain = {name: array.astype(array.dtype.newbyteorder("<"), copy=False) for name, array in arrays.items()}
    header = _header(about, plain)
    body = json.dumps(header, sort_keys=True, ensure_ascii=False).encode()
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(_HEAD.pack(MAGIC, FORMAT, len(body), blake2b(body, digest_size=8).digest()) + body)
        for name, array in plain.items():
            file.seek(_start(len(body)) + header["arrays"][name][2])
            file.write(array.tobytes())
        file.truncate(_start(len(body)) + header["size"])
    partial.replace(path)


def open_archive(path: Path) -> Archive:
    """Map a file into memory without reading its arrays.

    Raises UncribError if it is missing, something else, of another format, or damaged.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header, start = _read_header(path, file, size)
        raw = np.memmap(path, dtype=np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise UncribError(
            f"the background {path} cannot be read ({error}); name a file that exists"
        ) from error
    arrays = {}
    for name, (dtype, length, offset) in header["arrays"].items():
        end = start + offset + length * np.dtype(dtype).itemsize
        if end > size:
            raise _damaged(path, "it is cut short")
        arrays[name] = raw[start + offset : end].view(dtype).view(np.ndarray)
    if size != start + header["size"]:
        raise _damaged(path, "its size is not the recorded one")
    return Archive(path, header["about"], arrays, header["content"])


def _header(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    places: dict[str, tuple[str, int, int]] = {}
    offset = 0
    for name, array in arrays.items():
        if array.ndim != 1 or array.dtype.str not in _DTYPES:
            raise ValueError(
                f"{name}: {array.dtype.str} of {array.ndim} dimensions has no place in an archive"
            )
        places[name] = (array.dtype.str, len(array), offset)
        offset += -(-array.nbytes // _ALIGN) * _ALIGN
    return {"about": dict(about), "arrays": places, "size": offset, "content": _content(arrays)}


def _content(arrays: Mapping[str, np.ndarray[Any, Any]]) -> str:
    digest = blake2b(digest_size=8)
    for name in sorted(arrays):
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()


def _start(header_bytes: int) -> int:
    return -(-(_HEAD.size + header_bytes) // _ALIGN) * _ALIGN


def _read_header(path: Path, file: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    """The header, and where the arrays begin."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size or not head.startswith(MAGIC):
        raise UncribError(f"{path} is not a background of Uncrib; make one with `uncrib background build`")
    _, version, length, checksum = _HEAD.unpack(head)
    if version != FORMAT:
        raise UncribError(
            f"the background {path} has format {version}, this Uncrib reads {FORMAT}; build it again with"
            " `uncrib background build`"
        )
    body = file.read(min(length, size))
    if blake2b(body, digest_size=8).digest() != checksum:
        raise _damaged(path, "the checksum of its header is wrong")
    header = json.loads(body)
    if any(dtype not in _DTYPES or length < 0 or at < 0 for dtype, length, at in header["arrays"].values()):
        raise _damaged(path, "its header makes no sense")
    return header, _start(length)


def _damaged(path: Path, why: str) -> UncribError:
    return UncribError(f"the background {path} is damaged ({why}); install Uncrib again or build it anew")
