"""The time that one source may take, from its first byte over the network to its last blob."""

from __future__ import annotations

import time
from dataclasses import dataclass

from detector.errors import UncribError


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock, and the limit it came from."""

    at: float
    seconds: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The moment `seconds` from now."""
        return cls(time.monotonic() + seconds, seconds)

    def left(self) -> float:
        """Seconds that remain, never less than a hundredth, so that it can serve as a timeout."""
        return max(0.01, self.at - time.monotonic())

    def passed(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self.at

    def error(self, source: str) -> UncribError:
        """What to tell the user when `source` took too long."""
        limit = f"the limit seconds={self.seconds:g}"
        return UncribError(f"reading {source} took longer than {limit}; raise it with --limit or try again")
