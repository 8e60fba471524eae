"""`uncrib show`: a report, or one finding side by side, in the terminal."""

from __future__ import annotations

from pathlib import Path

import click

from detector.cli import outputs, voice


@click.command(short_help="Print a report's summary, or one of its findings side by side.")
@outputs.file
@click.argument("finding", required=False)
def show(file: Path, finding: str | None) -> None:
    """Print a report's summary, or one of its findings with both sides next to each other.

    REPORT is what compare --json wrote; FINDING is a finding's id, or enough of its beginning.

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
