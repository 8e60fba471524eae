"""The pieces of a SentencePiece model, read as data.

The file is one protocol-buffer message (`sentencepiece_model.proto`): field 1, repeated, is a piece with
its text (1), score (2) and type (3). The `sentencepiece` wheel would load a stranger's bytes into C++, and
`protobuf` is a large dependency for three fields, so this walks the wire format itself
(https://protobuf.dev/programming-guides/encoding): every length is checked against the bytes at hand,
nothing is allocated from a claimed size, and groups, long deprecated, are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from detector.evidence.readers.unreadable import Unreadable

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4
MOST_PIECES = 2_000_000


class Piece(NamedTuple):
    """One entry of the vocabulary; its id is its place in the file. `kind` is as in the proto file."""

    text: str
    kind: int


def read_pieces(data: bytes) -> tuple[Piece, ...]:
    """All pieces in order of id. Raises Unreadable for anything that is not such a model."""
    pieces = []
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            pieces.append(_piece(value))
            if len(pieces) > MOST_PIECES:
                raise Unreadable(f"claims more than {MOST_PIECES:,} pieces")
    if not pieces:
        raise Unreadable("is not a SentencePiece model (it has no pieces)")
    return tuple(pieces)


def _piece(data: bytes) -> Piece:
    text, kind = None, NORMAL
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            text = value.decode("utf-8", "replace")
        elif number == 3 and isinstance(value, int):
            kind = value
    if text is None:
        raise Unreadable("is not a SentencePiece model (a piece has no text)")
    return Piece(text, kind)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = _varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise Unreadable("is not a SentencePiece model (unknown wire type)")
        if number == 0 or at + length > len(data):
            raise Unreadable("is not a SentencePiece model, or is cut short")
        yield number, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(data):
            break
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
    raise Unreadable("is not a SentencePiece model, or is cut short")
