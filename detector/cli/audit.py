"""`uncrib audit`: an author checks the own repository before publishing it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import detector
from detector.cli import arguments, outputs, voice
from detector.errors import UncribError
from detector.snapshot import Snapshot, open_snapshot

if TYPE_CHECKING:
    from detector.report.model import Report

Own = Annotated[str, typer.Argument(metavar="SOURCE", help=f"Your repository: {arguments.SOURCE}.")]
Against = Annotated[
    list[str], typer.Option(metavar="SOURCE", help="What it may share work with. Repeatable.")
]
Graph = Annotated[bool, typer.Option("--graph", help="Write each report's graph beside it, as GraphML.")]
Out = Annotated[Path, typer.Option(metavar="FOLDER", help="Where the reports are written.")]


def audit(
    source: Own,
    against: Against,
    *,
    out: Out = Path("uncrib-audit"),
    graph: Graph = False,
    jobs: arguments.Jobs = None,
    history: arguments.History = None,
    upstream: arguments.Upstream = None,
    only: arguments.Only = None,
    skip: arguments.Skip = None,
    threshold: arguments.Threshold = None,
    fail_on: arguments.FailOn = None,
    dirty: arguments.Dirty = None,
    offline: arguments.Offline = None,
    limit: arguments.Limit = None,
    verbose: arguments.Verbose = False,
    quiet: arguments.Quiet = False,
) -> int:
    """Compare your own repository with others before you publish it, and say what to do.

    For each of the others an HTML report is written. In it A is the other and B is yours.

    \b
    Examples:
      uncrib audit . --against org/model-we-started-from
      uncrib audit . --against a/b --against c/d --fail-on strong
    """
    voice.start(verbose)
    given = {
        "jobs": jobs, "history": history, "upstream": upstream, "only": only, "skip": skip,
        "threshold": threshold, "dirty": dirty, "offline": offline,
    }  # fmt: skip
    settings = arguments.settled(given, limit, fail_on)
    _prepare(out)
    status = 0
    with voice.Meter(quiet) as meter:
        own = open_snapshot(source, settings.options, meter)
        others = [open_snapshot(other, settings.options, meter) for other in against]
    for file, other in zip(_names(others), others, strict=True):
        with voice.Meter(quiet) as meter:
            report = detector.compare(other, own, settings.options, meter)
        outputs.write(report, _wanted(out / file, graph))
        if not quiet:
            _print(report, other, out / file)
        status |= arguments.failed(report.summary.verdict, settings.fail_on)
    return status


def _prepare(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UncribError(f"--out {out} cannot be made ({error.strerror}); choose another folder") from None
    outputs.check({"out": str(out / "report.html")})


def _wanted(file: Path, graph: bool) -> dict[str, str]:
    beside = {"graph": str(file.with_suffix(".graphml"))} if graph else {}
    return {"html": str(file), **beside}


def _names(others: Iterable[Snapshot]) -> list[str]:
    """A file name for each report, plain and different from all others."""
    names: list[str] = []
    for other in others:
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", other.label).strip("-.") or "source"
        count = sum(name == plain or name.startswith(f"{plain}~") for name in names)
        names.append(f"{plain}~{count + 1}" if count else plain)
    return [f"{name}.html" for name in names]


def _print(report: Report, other: Snapshot, file: Path) -> None:
    from detector.report.advice import advice  # noqa: PLC0415  the words are needed only here
    from detector.report.text import one_line  # noqa: PLC0415

    print(f"{one_line(report.a.source)}: {report.summary.sentence}")
    for sentence in advice(report, other) or ("nothing to do",):
        print(f"  - {one_line(sentence, 400)}")
    print(f"  report: {file}")
