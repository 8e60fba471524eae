"""Where clones and packages are kept between runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detector.errors import UncribError
from detector.snapshot.deadline import Deadline


def cache_folder(name: str) -> Path:
    """The folder `name` of the user's cache, made if need be; UNCRIB_CACHE_DIR moves the cache elsewhere."""
    from platformdirs import user_cache_dir  # noqa: PLC0415  only sources from elsewhere need it

    base = Path(os.environ.get("UNCRIB_CACHE_DIR") or user_cache_dir("uncrib", appauthor=False))
    folder = base.absolute() / name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UncribError(
            f"the cache folder {folder} cannot be made ({error.strerror}); set UNCRIB_CACHE_DIR to another"
        ) from error
    return folder


@contextmanager
def locked(path: Path, source: str, deadline: Deadline) -> Iterator[None]:
    """Hold a lock beside `path`, so that two processes do not write there at once."""
    from filelock import FileLock, Timeout  # noqa: PLC0415

    lock = FileLock(f"{path}.lock", timeout=deadline.left())
    try:
        lock.acquire()
    except Timeout as error:
        raise UncribError(
            f"another process has been fetching {source} all the time; try again later"
        ) from error
    except OSError as error:
        raise UncribError(
            f"the cache {path.parent} cannot be written ({error.strerror}); set UNCRIB_CACHE_DIR to another"
        ) from error
    try:
        yield
    finally:
        lock.release()
