"""`uncrib report`: draw a report again from its JSON."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from detector.cli import outputs, voice
from detector.errors import UncribError


@click.command(short_help="Write a report that was kept as JSON in other forms.")
@outputs.file
@outputs.html
@outputs.markdown
@outputs.sarif
@outputs.pdf
def report(file: Path, html: str | None, md: str | None, sarif: str | None, pdf: str | None) -> None:
    """Write a report that compare --json wrote in other forms; nothing is compared again.

    \b
    Examples:
      uncrib report report.json --html report.html
      uncrib report report.json --pdf report.pdf --md comment.md
    """
    voice.start(verbose=False)
    wanted = outputs.check({"html": html, "md": md, "sarif": sarif, "pdf": pdf})
    if not wanted:
        raise UncribError("nothing to write; give --html, --md, --sarif or --pdf with a file name")
    outputs.write(outputs.read_report(file), wanted)
    print(f"Written: {', '.join(wanted.values())}", file=sys.stderr)
