"""Markdown for a comment: complete, short enough, and deaf to markup in what it quotes."""

from __future__ import annotations

import argparse
import inspect
from dataclasses import replace

from markdown_it import MarkdownIt
from report_factory import assembled, code_findings, sources_of, typical

from detector.evidence.finding import Rename, Span
from detector.report.markdown import LONGEST, to_markdown
from detector.report.serial import checksum


def test_it_tells_verdict_dossier_findings_renames_and_checksum() -> None:
    report = typical()
    text = to_markdown(report)
    assert report.summary.sentence.split(":")[0] in text
    code = [finding for finding in report.findings if finding.kind == "code" and not finding.explained_by]
    assert f"| Code | very strong | {len(code)} |" in text
    assert f"https://github.com/example/original/blob/{report.a.commit}/src/" in text
    assert "3 more are set apart, since torchvision, mmcv also hold them" in text
    assert f"Rename map: {len(report.renames)} pairs" in text
    assert checksum(report) in text


def test_hostile_names_neither_link_nor_mention_nor_start_markup() -> None:
    hostile = (
        "</details><img src=x onerror=alert(1)> [x](https://evil.example) @everyone #1 | `a` *b* \u202e "
        "www.evil.example"
    )
    report = typical()
    finding = replace(report.findings[0], title=hostile, a=(Span(hostile, hostile),), b=(Span("`|`", "``"),))
    report = replace(
        report,
        a=replace(report.a, label=hostile, web=None),
        b=replace(report.b, web=None),
        findings=(finding,),
        renames=(Rename("variable", "a`|b", hostile, 1),),
        classes=(replace(report.classes[0], strongest=finding.id),),
    )
    text = to_markdown(report)
    html = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    assert "<img" not in html
    assert 'evil.example"' not in html and "<a " not in html
    assert "@everyone" not in text.replace("`", "").split("| Kind |")[0]
    assert "\u202e" not in text
    assert html.count("<table>") == 3
    rows = [line for line in text.splitlines() if line.startswith("| Identical")]
    assert rows


def test_thousands_of_findings_still_fit_a_comment() -> None:
    found = list(code_findings(sources_of(argparse, inspect), copies=6))
    long = [(replace(f, a=f.a * 3, b=f.b * 3), a, b) for f, a, b in found]
    text = to_markdown(assembled(long, ()))
    assert len(text) <= LONGEST
    assert f"of {len(found)}" in text


def test_no_finding_is_said_in_words() -> None:
    report = replace(typical(), findings=(), renames=(), classes=())
    assert "No finding." in to_markdown(report)
