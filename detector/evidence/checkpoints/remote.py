"""A file of a Hugging Face repository as a stream of HTTP range requests: headers travel, weights stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from huggingface_hub import HfFileSystem

RANGE_BYTES = 2**18
"""bytes of one request: most safetensors headers fit in one"""


class Unreachable(OSError):
    """The host did not give the range that was asked for."""


def open_remote(system: HfFileSystem, repository: str, revision: str, path: str) -> BinaryIO:
    """Open `path` at a commit. Raises Unreachable when the host or the file cannot be reached."""
    try:
        stream = system.open(f"{repository}/{path}", "rb", revision=revision, block_size=RANGE_BYTES)
    except Exception as error:  # huggingface_hub lets the exceptions of its HTTP library through
        raise Unreachable(
            f"its header could not be read over the network ({type(error).__name__})"
        ) from error
    return cast("BinaryIO", stream)
