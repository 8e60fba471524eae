"""`uncrib compare`: two repositories in, a report out."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import detector
from detector.cli import arguments, outputs, voice

A = Annotated[str, typer.Argument(metavar="A", help=f"One side: {arguments.SOURCE}.")]
B = Annotated[str, typer.Argument(metavar="B", help="The other side, likewise.")]
Answers = Annotated[
    list[str] | None,
    typer.Option(metavar="FILE", help="Model answers as JSONL: once for A, once for B, perhaps a reference."),
]
WITHOUT_OUTPUT = "report.html"
"""written where no output option is given"""


def compare(
    a: A,
    b: B,
    *,
    html: outputs.Html = None,
    json: outputs.Json = None,
    md: outputs.Markdown = None,
    sarif: outputs.Sarif = None,
    graph: outputs.Graph = None,
    jobs: arguments.Jobs = None,
    history: arguments.History = None,
    upstream: arguments.Upstream = None,
    only: arguments.Only = None,
    skip: arguments.Skip = None,
    answers: Answers = None,
    threshold: arguments.Threshold = None,
    fail_on: arguments.FailOn = None,
    dirty: arguments.Dirty = None,
    offline: arguments.Offline = None,
    limit: arguments.Limit = None,
    verbose: arguments.Verbose = False,
    quiet: arguments.Quiet = False,
) -> int:
    """Compare two repositories and show what they share beyond coincidence.

    Without an output option a summary is printed and report.html is written.

    \b
    Examples:
      uncrib compare org/original org/copy
      uncrib compare https://example.org/a.git@v1.0 ./b --json report.json
      uncrib compare hf:org/model pypi:package==1.2 --upstream huggingface/transformers
      uncrib compare a b --only code --no-history --fail-on strong
    """
    voice.start(verbose)
    given = {
        "jobs": jobs, "history": history, "upstream": upstream, "only": only, "skip": skip,
        "answers": answers, "threshold": threshold, "dirty": dirty, "offline": offline,
    }  # fmt: skip
    settings = arguments.settled(given, limit, fail_on)
    asked = outputs.check({"html": html, "json": json, "md": md, "sarif": sarif, "graph": graph})
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
