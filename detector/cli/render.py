"""`uncrib report`: draw a report again from its JSON."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from detector.cli import outputs, voice
from detector.errors import UncribError

File = Annotated[Path, typer.Argument(metavar="REPORT", help="A report that compare --json wrote.")]


def report(
    file: File,
    *,
    html: outputs.Html = None,
    md: outputs.Markdown = None,
    sarif: outputs.Sarif = None,
    graph: outputs.Graph = None,
    pdf: outputs.Pdf = None,
) -> None:
    """Write a report that was kept as JSON in other forms; nothing is compared again.

    \b
    Examples:
      uncrib report report.json --html report.html
      uncrib report report.json --pdf report.pdf --md comment.md
    """
    voice.start(verbose=False)
    wanted = outputs.check({"html": html, "md": md, "sarif": sarif, "graph": graph, "pdf": pdf})
    if not wanted:
        raise UncribError("nothing to write; give --html, --md, --sarif, --graph or --pdf with a file name")
    outputs.write(outputs.read_report(file), wanted)
    print(f"Written: {', '.join(wanted.values())}", file=sys.stderr)
