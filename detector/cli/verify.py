"""`uncrib verify`: does a report still follow from its sources?"""

from __future__ import annotations

from pathlib import Path

import click

from detector.cli import arguments, outputs, voice


@click.command(short_help="Compute a report anew and say whether it still holds.")
@outputs.file
@arguments.jobs
@arguments.offline
@arguments.verbose
@arguments.quiet
def verify(file: Path, jobs: int | None, offline: bool | None, verbose: bool, quiet: bool) -> int:
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
