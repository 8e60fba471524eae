"""The report as Markdown that fits a comment on an issue or a pull request."""

from __future__ import annotations

import re

from detector.evidence.finding import Finding, Span
from detector.report.model import Report, Side
from detector.report.serial import checksum
from detector.report.text import one_line
from detector.report.wording import (
    bits,
    counting,
    day,
    e_value,
    kind_label,
    permalink,
    place,
    set_apart,
    share,
)

MOST_FINDINGS = 40
MOST_RENAMES = 25
LONGEST = 60_000
"""characters; hosts refuse comments of more than 65,536"""


def to_markdown(report: Report) -> str:
    """Verdict, dossier, the strongest findings with permanent links, the rename map's strongest rows, limits.

    Text from the repositories is escaped: it cannot mention people, link, or start markup. Where all of it
    would be longer than a comment may be, fewer findings are listed, and their number is stated.
    """
    for most in (MOST_FINDINGS, 20, 10, 5, 0):
        text = "\n\n".join(part for part in _parts(report, most) if part) + "\n"
        if len(text) <= LONGEST:
            break
    return text


def _parts(report: Report, most: int) -> list[str]:
    return [
        f"## Uncrib: {_text(report.a.label)} (A) and {_text(report.b.label)} (B)",
        f"**{_text(report.summary.sentence, 400)}**",
        _figures(report),
        _listed("What the verdict rests on", report.summary.rests_on),
        _listed("What would change it", report.summary.would_change),
        _dossier(report),
        _findings(report, most),
        _renames(report),
        _warnings(report),
        _method(report),
    ]


def _figures(report: Report) -> str:
    summary = report.summary
    return (
        f"Evidence of common origin: **{summary.verdict}** (none, weak, moderate, strong, very strong). "
        f"{bits(summary.bits)} bits in findings of weight; {share(summary.share_a)} of A and "
        f"{share(summary.share_b)} of B are covered."
    )


def _listed(title: str, items: tuple[str, ...]) -> str:
    return f"{title}:\n\n" + "\n".join(f"- {_text(item, 300)}" for item in items) if items else ""


def _dossier(report: Report) -> str:
    titles = {finding.id: finding.title for finding in report.findings}
    rows = [
        [
            kind_label(row.name),
            row.strength,
            str(row.findings) if row.findings else "not found",
            _text(titles.get(row.strongest or "", "")),
            e_value(row.e_value) if row.findings else "",
        ]
        for row in report.classes
    ]
    return _table(["Evidence", "Strength", "Found", "Strongest item", "E-value"], rows) if rows else ""


def _findings(report: Report, most: int) -> str:
    counted, apart = counting(report), set_apart(report)
    if not report.findings:
        return "No finding."
    rows = [
        [
            kind_label(finding.kind),
            _places(report.a, finding.a),
            _places(report.b, finding.b),
            bits(finding.bits),
            e_value(finding.e_value),
            ", ".join(finding.transformations),
        ]
        for finding in counted[:most]
    ]
    head = f"### Findings\n\nThe {len(rows)} strongest of {len(counted)}"
    head += f"; {len(apart)} more are set apart, since {_sources(apart)} also hold them." if apart else "."
    return head + "\n\n" + _table(["Kind", "In A", "In B", "Bits", "E-value", "Changed by"], rows)


def _sources(findings: tuple[Finding, ...]) -> str:
    names = list(dict.fromkeys(name for finding in findings for name in finding.explained_by))
    return ", ".join(_text(name, 60) for name in names[:6]) + (" and others" if len(names) > 6 else "")


def _places(side: Side, spans: tuple[Span, ...]) -> str:
    shown = []
    for span in spans[:3]:
        text, address = _code(place(span)), permalink(side, span.path, span.start_line, span.end_line)
        shown.append(f"[{text}]({_address(address)})" if address else text)
    return "<br>".join(shown) + (f"<br>and {len(spans) - 3} more" if len(spans) > 3 else "")


def _renames(report: Report) -> str:
    if not report.renames:
        return ""
    ranked = sorted(report.renames, key=lambda rename: (-rename.agreeing, rename.kind, rename.a))
    rows = [
        [rename.kind, _code(rename.a), _code(rename.b), str(rename.agreeing), str(rename.contradicting)]
        for rename in ranked[:MOST_RENAMES]
    ]
    table = _table(["Kind", "In A", "In B", "Agreeing sites", "Contradicting"], rows)
    return f"<details><summary>Rename map: {len(ranked)} pairs of names</summary>\n\n{table}\n\n</details>"


def _warnings(report: Report) -> str:
    if not report.warnings:
        return ""
    lines = []
    for notice in report.warnings[:30]:
        where = " ".join(
            part for part in (notice.side.upper(), _code(notice.where) if notice.where else "") if part
        )
        lines.append(f"- {where}: {_text(notice.message)}" if where else f"- {_text(notice.message)}")
    return (
        f"<details><summary>{len(report.warnings)} warnings</summary>\n\n"
        + "\n".join(lines)
        + "\n\n</details>"
    )


def _method(report: Report) -> str:
    sides = "; ".join(
        f"{name} {_code(side.source)} at {_code(side.commit or 'no commit')} of {day(side.committed_at)}"
        for name, side in (("A", report.a), ("B", report.b))
    )
    return (
        f"Compared: {sides}. Made by {report.tool.name} {report.tool.version}, background "
        f"{_text(report.tool.background)}. Checksum of the evidence {_code(checksum(report))}.\n\n"
        "An E-value is the number of findings this strong to expect by coincidence. Common origin is not "
        "the same as wrongdoing: licences, permission and shared authors are for a person to judge."
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def _text(text: str, limit: int = 160) -> str:
    """Words from a repository as plain text: markup, links and mentions are defused."""
    escaped = re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", one_line(text, limit))
    escaped = escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("@", "@\u2060").replace("://", ":\u2060//").replace("www.", "www\u2060.")


def _code(text: str) -> str:
    """A name or path as inline code; the fence is longer than any run of backticks in it."""
    shown = one_line(text, 200).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    space = " " if "`" in shown else ""
    return f"{fence}{space}{shown or ' '}{space}{fence}"


def _address(address: str) -> str:
    return re.sub(r"[\s()<>|\"\\]", lambda match: f"%{ord(match[0]):02X}", address)
