"""Where a checkpoint's bytes are: in the snapshot, on disk, in git's LFS folder, or behind Hugging Face's
range requests.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import BinaryIO, Protocol, runtime_checkable

from detector.snapshot.model import File, Snapshot

POINTER_BYTES = 1024
"""git-lfs calls a larger file no pointer"""
_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\n")
_HUGGING_FACE = re.compile(r"https://huggingface\.co/([^/{}]+/[^/{}]+)/blob/")


@runtime_checkable
class _Openable(Protocol):
    """A store that can open a file for reading in parts, whatever its size."""

    def open(self, file: File) -> BinaryIO | None: ...


def pointer(data: bytes) -> str | None:
    """The SHA-256 that a git-lfs pointer names; None where the bytes are none."""
    match = _POINTER.match(data[:POINTER_BYTES])
    return match.group(1).decode("ascii") if match else None


def open_stream(
    snapshot: Snapshot, file: File, contents: Mapping[str, bytes], offline: bool
) -> BinaryIO | None:
    """A seekable stream over the file, wherever its bytes are; None where they are not at hand.

    `contents` holds files that were read in a batch, by path. Only headers travel over a network: a remote
    stream asks for the ranges that are read.
    """
    data = contents.get(file.path)
    oid = pointer(data) if data is not None else None
    if oid is not None:
        return _stored(snapshot, oid) or (None if offline else _remote(snapshot, file))
    if isinstance(snapshot.store, _Openable):
        return snapshot.store.open(file)
    return io.BytesIO(data) if data is not None else None


def _stored(snapshot: Snapshot, oid: str) -> BinaryIO | None:
    """The object in the local store of git-lfs, where `git lfs pull` has brought it."""
    if snapshot.git_dir is None:
        return None
    place = snapshot.git_dir / "lfs" / "objects" / oid[:2] / oid[2:4] / oid
    return place.open("rb") if place.is_file() else None


def _remote(snapshot: Snapshot, file: File) -> BinaryIO | None:
    """A stream of range requests, for sources on Hugging Face; None elsewhere or without huggingface_hub."""
    match = _HUGGING_FACE.match(snapshot.web or "")
    if match is None or not snapshot.source.startswith(("hf:", "https://huggingface.co/")):
        return None
    try:
        from huggingface_hub import HfFileSystem  # noqa: PLC0415  optional, and slow to import
    except ImportError:
        return None
    from detector.evidence.checkpoints.remote import open_remote  # noqa: PLC0415

    return open_remote(HfFileSystem(), match.group(1), snapshot.commit or "main", file.path)
