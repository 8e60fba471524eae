"""`uncrib verify`: does a report still follow from its sources?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detector.cli import arguments, outputs, voice

File = Annotated[Path, typer.Argument(metavar="REPORT", help="A report that compare --json wrote.")]


def verify(
    file: File,
    jobs: arguments.Jobs = None,
    offline: arguments.Offline = None,
    verbose: arguments.Verbose = False,
    quiet: arguments.Quiet = False,
) -> int:
    """Compute a report anew from the sources and commits that it names, and say whether it still holds.

    The status is 0 if it does and 1 if it does not.

    \b
    Example:
      uncrib verify report.json
    """
    voice.start(verbose)
    text = outputs.read_text(file)
    from detector.report.verification import verified  # noqa: PLC0415

    with voice.Meter(quiet) as meter:
        result = verified(text, jobs or 0, bool(offline), meter)
    if not quiet:
        print("The report holds." if result.holds else "The report does not hold.")
        for remark in result.remarks:
            print(f"- {remark}")
    return 0 if result.holds else 1
