"""`uncrib compare`: two repositories in, a report out."""

from __future__ import annotations

import sys
from typing import Any

import click

import detector
from detector.cli import arguments, outputs, voice

WITHOUT_OUTPUT = "report.html"
"""written where no output option is given"""


@click.command(short_help="Compare two repositories and show what they share.")
@click.argument("a")
@click.argument("b")
@outputs.html
@outputs.json
@outputs.markdown
@outputs.sarif
@click.option(
    "--answers",
    multiple=True,
    metavar="FILE",
    help="Model answers as JSONL: once for A, once for B, perhaps a reference.",
)
@arguments.comparing
def compare(
    a: str,
    b: str,
    *,
    html: str | None,
    json: str | None,
    md: str | None,
    sarif: str | None,
    limits: tuple[str, ...],
    fail_on: str | None,
    verbose: bool,
    quiet: bool,
    **given: Any,
) -> int:
    """Compare two repositories and show what they share beyond coincidence.

    A and B are each a git URL, owner/name (GitHub), hf:org/name, pypi:name==version or a folder;
    @REVISION may follow. Without an output option a summary is printed and report.html is written.

    \b
    Examples:
      uncrib compare org/original org/copy
      uncrib compare https://example.org/a.git@v1.0 ./b --json report.json
      uncrib compare hf:org/model pypi:package==1.2 --upstream huggingface/transformers
      uncrib compare a b --only code --no-history --fail-on strong
    """
    voice.start(verbose)
    settings = arguments.settled(given, limits, fail_on)
    asked = outputs.check({"html": html, "json": json, "md": md, "sarif": sarif})
    wanted = asked or outputs.check({"html": WITHOUT_OUTPUT})
    with voice.Meter(quiet) as meter:
        report = detector.compare(a, b, settings.options, meter)
    outputs.write(report, wanted)
    if not asked and not quiet:
        from detector.report.terminal import console, summary  # noqa: PLC0415

        summary(report, console())
        print(f"\nThe whole report is in {WITHOUT_OUTPUT}")
    elif not quiet:
        print(f"{report.summary.sentence} Written: {', '.join(wanted.values())}", file=sys.stderr)
    return int(arguments.failed(report.summary.verdict, settings.fail_on))
