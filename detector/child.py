"""A process beside the main one, which computes from what both hold in memory.

It is forked where that is safe, so that nothing need be sent to it. Ctrl-C is for its parent to answer, and
it never outlives its parent, however that ends.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


def possible() -> bool:
    """Whether this system can fork safely; on macOS the system's own libraries may not survive it."""
    return sys.platform != "darwin" and "fork" in multiprocessing.get_all_start_methods()


@contextmanager
def child(serve: Callable[..., None], *given: object) -> Iterator[Connection]:
    """Run `serve(pipe, *given)` in another process and yield our end of the pipe.

    The process is ended when the context is left. Receiving raises EOFError once it has ended.
    """
    context: Any = multiprocessing.get_context("fork" if possible() else "spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(serve, theirs, given), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.kill()
        process.join()


def _serve(serve: Callable[..., None], pipe: Connection, given: tuple[object, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    with suppress(BrokenPipeError):
        serve(pipe, *given)


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
