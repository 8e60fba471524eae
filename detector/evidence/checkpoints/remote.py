"""A file of a Hugging Face repository as a stream of HTTP range requests: headers travel, weights stay."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from huggingface_hub import HfFileSystem

RANGE_BYTES = 2**18
"""bytes of one request: most safetensors headers fit in one"""


class Unreachable(OSError):
    """The host did not give what was asked for."""


def open_remote(system: HfFileSystem, repository: str, revision: str, path: str) -> BinaryIO:
    """Open `path` at a commit. Raises Unreachable, now or while reading, when the host does not answer."""
    try:
        stream = system.open(f"{repository}/{path}", "rb", revision=revision, block_size=RANGE_BYTES)
    except Exception as error:  # huggingface_hub lets the exceptions of its HTTP library through
        raise _unreachable(error) from error
    return io.BufferedReader(_Ranges(stream), RANGE_BYTES)


def _unreachable(error: Exception) -> Unreachable:
    return Unreachable(f"its header could not be read over the network ({type(error).__name__})")


class _Ranges(io.RawIOBase):
    """huggingface_hub's file, with one kind of exception."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return int(self._stream.seek(offset, whence))

    def tell(self) -> int:
        return int(self._stream.tell())

    def readinto(self, buffer: Any, /) -> int:
        try:
            data = self._stream.read(len(buffer))
        except Exception as error:
            raise _unreachable(error) from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()
