"""Ctrl-C as a terminal gives it, however the test runner itself was started.

A shell starts background jobs with SIGINT ignored, and children inherit that: tests that send it call this.
"""

from __future__ import annotations

import signal


def heeded() -> None:
    """Let the processes that are started from here on heed SIGINT."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
