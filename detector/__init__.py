"""Uncrib: does one machine-learning repository contain another's work under new names, and what shows it?

    import detector

    report = detector.compare("org/original", "path/to/copy", detector.Options(history=False))
    print(report.summary.sentence)

`compare` does all the work; the command `uncrib` is a thin layer over it.
"""

from detector.compare import compare
from detector.errors import UncribError
from detector.options import Options
from detector.report.model import Report
from detector.snapshot.model import Limits, Snapshot

__all__ = ["Limits", "Options", "Report", "Snapshot", "UncribError", "compare"]
