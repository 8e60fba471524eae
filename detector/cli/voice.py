"""How loud a command is: what goes to stderr while it works."""

from __future__ import annotations

import logging
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE = 1.0
"""seconds of silence before progress is shown"""


def start(verbose: bool) -> None:
    """Send the library's messages to stderr: what each phase took with `-v`, otherwise nothing."""
    logger = logging.getLogger("detector")
    logger.handlers = [logging.StreamHandler(sys.stderr) if verbose else logging.NullHandler()]
    logger.setLevel(logging.INFO if verbose else logging.CRITICAL)
    logger.propagate = False


class Meter:
    """Progress on stderr, by phase, once the work has taken a second; nothing where stderr is no terminal.

    Use it as a context and pass it as `progress`. It may be called from any thread.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._lock = threading.Lock()
        self._phases: dict[str, tuple[int, int]] = {}
        self._tasks: dict[str, TaskID] = {}
        self._bars: Progress | None = None
        self._timer: threading.Timer | None = None
        if not quiet and sys.stderr.isatty():
            self._timer = threading.Timer(PATIENCE, self._show)
            self._timer.daemon = True

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Note how far a phase has come; total 0 where that is not known."""
        if self._timer is None:
            return
        with self._lock:
            self._phases[phase] = (done, total)
            self._draw(phase)

    def __enter__(self) -> Meter:
        if self._timer is not None:
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is None:
            return
        self._timer.cancel()
        with self._lock:
            self._timer = None
            if self._bars is not None:
                self._bars.stop()

    def _show(self) -> None:
        from rich.console import Console  # noqa: PLC0415  most runs end before it is needed
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        with self._lock:
            if self._timer is None:
                return
            self._bars = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bars.start()
            for phase in self._phases:
                self._draw(phase)

    def _draw(self, phase: str) -> None:
        if self._bars is None:
            return
        done, total = self._phases[phase]
        if phase not in self._tasks:
            self._tasks[phase] = self._bars.add_task(phase, total=None)
        self._bars.update(self._tasks[phase], completed=done, total=total or None)
