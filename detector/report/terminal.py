"""The summary that a terminal shows: verdict, strongest findings, shares, rename map, warnings."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from detector.evidence.finding import Evidence, Finding, Rename, Span, Strength
from detector.report import wording
from detector.report.model import Report, Side
from detector.report.text import one_line
from detector.snapshot.model import Notice

STRONGEST = 10
"""findings, rename rows and warnings that the summary lists of each"""
WIDTH_OF_A_PIPE = 120
"""columns where stdout is no terminal"""
_COLOURS: dict[Strength, str] = {
    "none": "green",
    "weak": "cyan",
    "moderate": "yellow",
    "strong": "red",
    "very strong": "bold red",
}


def console() -> Console:
    """Standard output; colours only in a terminal, and none where NO_COLOR is set."""
    return Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_PIPE, highlight=False, markup=False)


def summary(report: Report, console: Console) -> None:
    """Print the summary. Text from the repositories is flattened, its unseen characters are spelled out."""
    said = report.summary
    console.print(Text(said.sentence, style=_COLOURS[said.verdict]))
    console.print()
    console.print(_sides(report))
    for heading, lines in (("It rests on", said.rests_on), ("It would change with", said.would_change)):
        _listed(heading, lines, console)
    counting = wording.counting(report)
    if counting:
        _section(f"Strongest findings ({min(STRONGEST, len(counting))} of {len(counting):,})", console)
        for line in _findings(counting[:STRONGEST]):
            console.print(line)
    if apart := len(report.findings) - len(counting):
        console.print(f"  Set apart, since an upstream or common public code accounts for them: {apart:,}")
    renames = [rename for rename in report.renames if rename.a != rename.b]
    if renames:
        _section("Rename map", console)
        console.print(_renames(renames[:STRONGEST]))
    _warned(report.warnings, console)


def evidence(found: Evidence, console: Console) -> None:
    """Print what one class found, outside a report."""
    for finding in found.findings:
        console.print(
            Text(f"{finding.strength}: {one_line(finding.title)}", style=_COLOURS[finding.strength])
        )
        _listed("It rests on", [reason.text for reason in finding.reasons], console)
    if not found.findings:
        console.print("No evidence of common origin was found.")
    _warned(found.notices, console)


def _sides(report: Report) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for heading in ("", "source", "commit", "of", "files", "units", "lines", "covered"):
        table.add_column(
            heading, justify="right" if heading in ("files", "units", "lines", "covered") else "left"
        )
    for name, side, share in (
        ("A", report.a, report.summary.share_a),
        ("B", report.b, report.summary.share_b),
    ):
        table.add_row(name, *_side(side), wording.share(share))
    return table


def _side(side: Side) -> Iterable[Text | str]:
    yield Text(one_line(side.source, 80), overflow="fold")
    yield (side.commit or "—")[:12]
    yield wording.day(side.committed_at)
    yield from (f"{count:,}" for count in (side.files, side.units, side.lines))


def _findings(findings: Iterable[Finding]) -> Iterable[Text]:
    """Three lines for each: what and how strong, then its places, which any width of terminal can hold."""
    for finding in findings:
        law = f", E = {wording.e_value(finding.e_value)}" if finding.e_value is not None else ""
        yield Text.assemble(
            f"  {finding.id:<16}",
            (f"{finding.strength:<13}", _COLOURS[finding.strength]),
            f"{wording.kind_label(finding.kind)}, {wording.bits(finding.bits)} bits{law}{_title(finding)}",
        )
        yield Text.assemble("    A  ", _place(finding.a))
        yield Text.assemble("    B  ", _place(finding.b))


def _title(finding: Finding) -> str:
    """The title, where the places alone do not tell it."""
    return "" if any(span.name for span in finding.a) else f": {one_line(finding.title, 100)}"


def _place(spans: tuple[Span, ...]) -> Text:
    if not spans:
        return Text("—")
    more = f" and {len(spans) - 1} more" if len(spans) > 1 else ""
    return Text(one_line(wording.place(spans[0]), 120) + more)


def _renames(renames: Iterable[Rename]) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for heading in ("kind", "in A", "in B"):
        table.add_column(heading, overflow="fold")
    table.add_column("places", justify="right")
    table.add_column("against", justify="right")
    for rename in renames:
        names = (Text(one_line(name, 60)) for name in (rename.a, rename.b))
        table.add_row(rename.kind, *names, f"{rename.agreeing:,}", f"{rename.contradicting:,}")
    return table


def _warned(warnings: tuple[Notice, ...], console: Console) -> None:
    lines = [
        ": ".join(part for part in (warning.side.upper(), warning.where, warning.message) if part)
        for warning in warnings[:STRONGEST]
    ]
    if len(warnings) > STRONGEST:
        lines.append(f"and {len(warnings) - STRONGEST:,} more, which the report lists")
    _listed("Warnings", lines, console)


def _listed(heading: str, lines: Iterable[str], console: Console) -> None:
    texts = [one_line(line, 400) for line in lines]
    if not texts:
        return
    _section(heading, console)
    for text in texts:
        console.print(Padding(Text(f"- {text}"), (0, 0, 0, 2), expand=False))


def _section(heading: str, console: Console) -> None:
    console.print()
    console.print(Text(heading, style="bold"))
