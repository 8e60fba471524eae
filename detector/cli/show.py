"""`uncrib show`: a report, or one finding side by side, in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detector.cli import outputs, voice

File = Annotated[Path, typer.Argument(metavar="REPORT", help="A report that compare --json wrote.")]
FindingId = Annotated[
    str | None, typer.Argument(metavar="[FINDING]", help="A finding's id, or enough of its beginning.")
]


def show(file: File, finding: FindingId = None) -> None:
    """Print a report's summary, or one of its findings with both sides next to each other.

    \b
    Examples:
      uncrib show report.json
      uncrib show report.json 3f2a91
    """
    voice.start(verbose=False)
    report = outputs.read_report(file)
    from detector.report.terminal import console, summary  # noqa: PLC0415

    if finding is None:
        summary(report, console())
    else:
        from detector.report.side_by_side import show as show_finding  # noqa: PLC0415

        show_finding(report, finding, console())
