"""Compare real pairs of repositories: `python -m benchmarks.accuracy.cases FILE... [--mirror DIR]`.

A FILE is JSON of one of two kinds. Pairs: lists `derived` and `independent` of {a, b, taken}, each side
`owner/name@revision`. A case with functions: `copy` and `original` {repository, commit, newest} and
`pairs` of [copy's path::name, original's path::name]. Repositories are taken from DIR/owner+name/repo where
that exists, else from GitHub. Histories are not read.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.accuracy.mirror import opened
from benchmarks.accuracy.page import table, write_section
from detector import compare
from detector.evidence.finding import Finding
from detector.options import Options
from detector.report.model import Report
from detector.report.verdict import counts, independent, weigh
from detector.snapshot import Snapshot

_OPTIONS = Options(history=False)
_SHORT = 12
"""digits of a commit that the tables show"""


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair and its report; `relation` is `derived` or `independent`, `taken` names known takings."""

    relation: str
    a: str
    b: str
    taken: tuple[str, ...]
    report: Report


def pairs(known: Mapping[str, Any], mirror: Path | None) -> Iterator[Pair]:
    """Compare every pair of a file."""
    for relation in ("derived", "independent"):
        for pair in known.get(relation, ()):
            first, second = (opened(pair[side], mirror, _OPTIONS) for side in ("a", "b"))
            report = compare(first, second, _OPTIONS)
            yield Pair(relation, pair["a"], pair["b"], tuple(pair.get("taken", ())), report)


def functions(known: Mapping[str, Any], mirror: Path | None) -> Iterator[tuple[str, ...]]:
    """For each revision of the original a row: how many functions are found with the right partner."""
    truth = {(copy, original) for copy, original in known["pairs"]}
    copies = {copy for copy, _ in truth}
    original, copy = known["original"], known["copy"]
    for label, revision in (("given", original["commit"]), ("newest", original["newest"])):
        first = opened(f"{original['repository']}@{revision}", mirror, _OPTIONS)
        second = opened(f"{copy['repository']}@{copy['commit']}", mirror, _OPTIONS)
        report = compare(first, second, _OPTIONS)
        strongest: dict[str, str] = {}
        others = []
        code = [finding for finding in report.findings if finding.kind == "code"]
        for finding in sorted(code, key=lambda each: -each.bits):
            here, there = _place(finding, "b"), _place(finding, "a")
            strongest.setdefault(here, there)
            if counts(finding) and here not in copies:
                others.append(f"{here} ~ {there} ({finding.bits:.0f} bits)")
        wrong = [
            f"{place} ~ {strongest.get(place, 'nothing')}"
            for place, partner in sorted(truth)
            if not _is(strongest.get(place, ""), partner, first)
        ]
        yield (
            f"{label}, {revision[:_SHORT]}",
            report.summary.verdict,
            f"{len(truth) - len(wrong)} of {len(truth)}",
            "<br>".join(wrong) or "none",
            "<br>".join(others) or "none",
        )


def _is(found: str, partner: str, original: Snapshot) -> bool:
    """Whether a place is the partner, or, where this revision moved the partner, bears its name elsewhere."""
    path, _, name = partner.partition("::")
    last = name.rpartition(".")[2]
    if found == partner or last != found.rpartition("::")[2].rpartition(".")[2]:
        return found == partner
    text = original.read([path]).get(path, b"").decode("utf-8", "replace")
    return not re.search(rf"\bdef {re.escape(last)}\b", text)


def _place(finding: Finding, letter: str) -> str:
    spans = finding.a if letter == "a" else finding.b
    if not spans:
        return finding.title
    return f"{spans[0].path}::{spans[0].name}" if spans[0].name else spans[0].path


def _row(pair: Pair) -> tuple[object, ...]:
    report, summary = pair.report, pair.report.summary
    weight = weigh(
        independent(finding for finding in report.findings if counts(finding)),
        report.renames,
        (summary.share_a, summary.share_b),
    )
    return (
        pair.a.partition("@")[0],
        pair.b.partition("@")[0],
        pair.relation + (f"; taken: {', '.join(pair.taken)}" if pair.taken else ""),
        summary.verdict,
        len(report.findings),
        sum(bool(finding.explained_by) for finding in report.findings),
        weight.strong,
        f"{weight.bits:,.0f}",
        f"{summary.share_a:.0%}",
        f"{summary.share_b:.0%}",
    )


def _listed(pair: Pair) -> str:
    """The findings of an independent pair that nothing explains."""
    left = [finding for finding in pair.report.findings if counts(finding)]
    lines = [f"`{pair.a.partition('@')[0]}` and `{pair.b.partition('@')[0]}`: {len(left)} unexplained"]
    for finding in left:
        number = f"{finding.bits:.0f} bits" + (
            f", E = {finding.e_value:.1g}" if finding.e_value is not None else ""
        )
        lines.append(f"- {finding.kind}, {number}: `{_place(finding, 'a')}` and `{_place(finding, 'b')}`")
    return "\n".join(lines)


def _by_function(known: Mapping[str, Any], mirror: Path | None) -> str:
    heads = ("original at", "verdict", "right partner first:", "others", "findings outside the list")
    name = f"{known['copy']['repository']} against {known['original']['repository']}"
    return f"Function by function, {name}:\n\n{table(heads, functions(known, mirror))}"


def section(files: Sequence[Path], mirror: Path | None) -> str:
    """The text of the section."""
    parts = []
    for file in files:
        known = json.loads(file.read_text(encoding="utf-8"))
        if "original" in known:
            parts.append(_by_function(known, mirror))
            continue
        compared = list(pairs(known, mirror))
        heads = ("A", "B", "known relation", "verdict", "findings:", "set apart:", "strong:", "bits:",
                 "share of A:", "share of B:")  # fmt: skip
        parts.append(table(heads, map(_row, compared)))
        parts.append("Unexplained findings of the independent pairs:")
        parts += [_listed(pair) for pair in compared if pair.relation == "independent"]
    return "\n\n".join(parts)


def main() -> None:
    """Write the section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.cases", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--mirror", type=Path, metavar="DIR", help="a folder of git directories")
    given = parser.parse_args()
    write_section("cases", section(given.files, given.mirror))


if __name__ == "__main__":
    main()
