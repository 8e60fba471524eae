"""The phases of a run and what each took, which `-v` tells and benchmarks/speed reads."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

_log = logging.getLogger(__name__)


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Tell after the block how long it took."""
    started = time.perf_counter()
    yield
    _log.info("%s: %.2f s", name, time.perf_counter() - started)
