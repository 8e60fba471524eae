"""Uncrib: does one machine-learning repository contain another's work under new names, and what shows it?

    import detector

    report = detector.compare("org/original", "path/to/copy", detector.Options(history=False))
    print(report.summary.sentence)

`compare` does all the work; the command `uncrib` is a thin layer over it.
"""

from typing import TYPE_CHECKING

from detector.compare import compare
from detector.errors import UncribError
from detector.options import Options
from detector.snapshot.model import Limits, Snapshot

if TYPE_CHECKING:
    from detector.report.model import Report

__all__ = ["Limits", "Options", "Report", "Snapshot", "UncribError", "compare"]


def __getattr__(name: str) -> object:
    """`Report`, which takes longer to load than all else here and is made last."""
    if name != "Report":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from detector.report.model import Report  # noqa: PLC0415

    return Report
