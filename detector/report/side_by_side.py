"""One finding in a terminal: both sources side by side, corresponding lines opposite each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import Literal

from rich import box
from rich.console import Console, Group
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from detector.errors import UncribError
from detector.evidence.finding import Aligned, Finding, Json, Rename, Span
from detector.report.model import Report
from detector.report.text import one_line, shown
from detector.report.wording import bits, e_value, kind_label, permalink, place

PAIR_STYLES = ("bold red", "bold cyan", "bold green", "bold yellow", "bold magenta", "bold blue")
"""one after the other for pairs of names; the same pair looks the same on both sides"""
MOST_REASONS = 5
MOST_FACTS = 40
Key = tuple[int, int]
"""a line: which span of the finding's side it lies in, and its number in the file"""


def show(report: Report, finding_id: str | None, console: Console) -> None:
    """Print the finding of this id (or an unambiguous beginning of it); the strongest one for None.

    Raises UncribError where there is no such finding.
    """
    finding = chosen(report, finding_id)
    console.print(_heading(finding))
    for text in _reasons(finding):
        console.print(text)
    if finding.lines or _lines(report, "a", finding.a) or _lines(report, "b", finding.b):
        console.print(_sources(report, finding))
        if finding.renames:
            console.print(_names(finding.renames))
    else:
        for name, spans in (("A", finding.a), ("B", finding.b)):
            for span in spans:
                console.print(Text(f"{name}  {one_line(place(span))}"))
    console.print(*_facts(dict(finding.details)), sep="\n", end="\n" if finding.details else "")
    for side, spans in ((report.a, finding.a), (report.b, finding.b)):
        for span in spans:
            if address := permalink(side, span.path, span.start_line, span.end_line):
                console.print(Text(address, style="dim"), soft_wrap=True)


def chosen(report: Report, finding_id: str | None) -> Finding:
    """The finding that an id, or its beginning, names; the strongest for None."""
    if not report.findings:
        raise UncribError("the report has no findings to show")
    if finding_id is None:
        return report.findings[0]
    found = [finding for finding in report.findings if finding.id.startswith(finding_id)]
    exact = [finding for finding in found if finding.id == finding_id]
    if len(exact or found) != 1:
        problem = f"{len(found)} findings begin with" if found else "the report has no finding"
        ids = ", ".join(finding.id for finding in (found or report.findings)[:5])
        raise UncribError(f"{problem} {finding_id!r}; give one of its ids, for example {ids}")
    return (exact or found)[0]


def _heading(finding: Finding) -> Text:
    text = Text(one_line(finding.title), style="bold")
    weight = f"{kind_label(finding.kind)}, {finding.strength}, {bits(finding.bits)} bits"
    weight += f", E-value {e_value(finding.e_value)}" if finding.e_value is not None else ""
    changed = f", {', '.join(finding.transformations)}" if finding.transformations else ""
    text.append(f"\n{weight}{changed}  [{finding.id}]", style="not bold")
    if finding.explained_by:
        text.append(
            f"\nset apart: also in {one_line(', '.join(finding.explained_by))}", style="not bold yellow"
        )
    return text


def _reasons(finding: Finding) -> Iterator[Text]:
    for reason in finding.reasons[:MOST_REASONS]:
        yield Text(f"{bits(reason.bits):>8} bits  {one_line(reason.text)}")


def _sources(report: Report, finding: Finding) -> Table:
    table = Table(box=box.SIMPLE_HEAD, expand=True, padding=(0, 1), show_edge=False)
    for name, side, spans in (("A", report.a, finding.a), ("B", report.b, finding.b)):
        head = Text(
            f"{name} {one_line(side.label, 60)}\n" + "\n".join(one_line(place(span)) for span in spans)
        )
        table.add_column(head, ratio=1, overflow="fold")
    left, right = _lines(report, "a", finding.a), _lines(report, "b", finding.b)
    a, b = _painted(finding, 0, left), _painted(finding, 1, right)
    for a_line, b_line in opposite(sorted(left), sorted(right), finding.lines):
        table.add_row(_numbered(a_line, a, finding, 0), _numbered(b_line, b, finding, 1))
    return table


def opposite(
    a: list[Key], b: list[Key], blocks: tuple[Aligned, ...]
) -> Iterator[tuple[Key | None, Key | None]]:
    """Put lines of A and B opposite each other where their blocks come in the same order on both sides.

    Each side keeps its own order; blocks that were moved are told by their number alone.
    """
    at_a = at_b = 0
    for start_a, start_b in sorted(((block.a, block.a_start), (block.b, block.b_start)) for block in blocks):
        if start_a not in a[at_a:] or start_b not in b[at_b:]:
            continue
        next_a, next_b = a.index(start_a, at_a), b.index(start_b, at_b)
        yield from zip_longest(a[at_a:next_a], b[at_b:next_b])
        at_a, at_b = next_a, next_b
    yield from zip_longest(a[at_a:], b[at_b:])


def _lines(report: Report, side: Literal["a", "b"], spans: tuple[Span, ...]) -> dict[Key, str]:
    """The text of all spans' lines, as far as the report carries them."""
    lines: dict[Key, str] = {}
    for index, span in enumerate(spans):
        for excerpt in report.excerpts:
            if excerpt.side == side and excerpt.path == span.path:
                for number, text in enumerate(shown(excerpt.text).split("\n"), start=excerpt.start_line):
                    if span.start_line <= number <= span.end_line:
                        lines.setdefault((index, number), text)
    return lines


def _painted(finding: Finding, side: int, lines: dict[Key, str]) -> dict[Key, Text]:
    """The lines in syntax colours, with paired names in their pair's colour."""
    spans = finding.b if side else finding.a
    source = "\n".join(text.expandtabs(4) for text in lines.values())
    lexer = Syntax.guess_lexer(spans[0].path, source) if spans else "text"
    text = Syntax(source, lexer, theme="ansi_dark", background_color="default").highlight(source)
    for index, rename in enumerate(finding.renames):
        name = (rename.b if side else rename.a).rpartition(".")[2]
        text.highlight_regex(rf"\b{re.escape(name)}\b", PAIR_STYLES[index % len(PAIR_STYLES)])
    return dict(zip(lines, text.split("\n", allow_blank=True), strict=False))


def _numbered(key: Key | None, lines: dict[Key, Text], finding: Finding, side: int) -> Text:
    """A line with its block's number, where one begins, and its own."""
    if key is None:
        return Text()
    blocks = [
        ((block.b, block.b_start), (block.b, block.b_end))
        if side
        else ((block.a, block.a_start), (block.a, block.a_end))
        for block in finding.lines
    ]
    mark = next((str(number) for number, (start, _) in enumerate(blocks, start=1) if start == key), "")
    bar = "│" if any(start <= key <= end for start, end in blocks) else " "
    return Text.assemble((f"{mark:>3}{bar}{key[1]:>5} ", "dim"), lines.get(key, Text()))


def _names(renames: tuple[Rename, ...]) -> Group:
    rows = []
    for index, rename in enumerate(renames):
        style = PAIR_STYLES[index % len(PAIR_STYLES)]
        text = Text(f"  {one_line(rename.a, 60)} → {one_line(rename.b, 60)}", style=style)
        text.append(
            f"  {rename.kind}, {rename.agreeing} agree, {rename.contradicting} contradict",
            style="not bold default",
        )
        rows.append(text)
    return Group(Text("Names of A and their partners in B", style="bold"), *rows)


def _facts(details: dict[str, Json]) -> list[Text]:
    """The details of a finding, one line for each entry."""
    lines = []
    for name, value in _flat("", details):
        lines.append(
            Text(f"  {one_line(name, 60)}: ", style="bold") + Text(one_line(str(value)), style="not bold")
        )
        if len(lines) == MOST_FACTS:
            lines.append(Text("  … the JSON and HTML reports hold the rest"))
            break
    return lines


def _flat(prefix: str, value: Json, depth: int = 0) -> Iterator[tuple[str, Json]]:
    if isinstance(value, dict) and depth < 8:
        for key, item in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), item, depth + 1)
    elif isinstance(value, list) and len(value) > 8:
        yield prefix, f"{', '.join(map(str, value[:8]))} … ({len(value):,} entries)"
    else:
        yield prefix, value
