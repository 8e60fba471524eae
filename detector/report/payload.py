"""What the page's script draws from: findings and the code they show, packed small.

The page carries this as base64 of gzipped JSON; the browser unpacks it with its own DecompressionStream.
Paths are kept once, code once per excerpt, and empty fields not at all.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from typing import cast

from detector.evidence.finding import Finding, Json, Rename, Span
from detector.report.model import Report
from detector.report.text import shown
from detector.report.wording import STRENGTHS, kind_label

MOST_SITES = 40
"""sites of one rename that the page lists"""
MOST_ITEMS = 20_000
"""entries of one list or object in a finding's details that the page carries"""
LONGEST_PATH = 4096
"""a longer path gets no web address of its own"""
DEEPEST = 24
"""levels of a finding's details that the page carries"""


def packed(report: Report) -> str:
    """Base64 text of the gzipped JSON payload; the same report gives the same text."""
    data = json.dumps(payload(report), ensure_ascii=False, separators=(",", ":")).encode()
    return base64.b64encode(gzip.compress(data, compresslevel=9, mtime=0)).decode()


def payload(report: Report) -> dict[str, Json]:
    """The payload as plain data: `sides`, `paths`, `text`, `findings`, `renames`, `kinds`, `strengths`."""
    paths = {"a": _Paths(), "b": _Paths()}
    text: list[Json] = [
        [
            "ab".index(excerpt.side),
            paths[excerpt.side].number(excerpt.path),
            excerpt.start_line,
            shown(excerpt.text),
        ]
        for excerpt in sorted(
            report.excerpts, key=lambda item: (item.path.rpartition("/")[2], item.start_line)
        )
    ]
    findings: list[Json] = [_finding(finding, paths) for finding in report.findings]
    renames: list[Json] = [_rename(rename, paths, sites=True) for rename in report.renames]
    sides: list[Json] = [_side(report, side, paths[side]) for side in ("a", "b")]
    kinds = sorted({finding.kind for finding in report.findings})
    return {
        "sides": sides,
        "kinds": {shown(kind): shown(kind_label(kind)) for kind in kinds},
        "strengths": list(STRENGTHS),
        "text": text,
        "findings": findings,
        "renames": renames,
    }


class _Paths:
    """Numbers the paths of one side."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, path: str) -> int:
        return self.numbers.setdefault(path, len(self.numbers))


def _side(report: Report, side: str, paths: _Paths) -> Json:
    stated = report.a if side == "a" else report.b
    web = stated.web if stated.web and stated.web.startswith(("https://", "http://")) else ""
    hostile: dict[str, Json] = {
        str(number): path.encode("utf-8", "replace").decode()
        for path, number in paths.numbers.items()
        if shown(path) != path and len(path) <= LONGEST_PATH
    }
    return {
        "label": shown(stated.label),
        "commit": shown(stated.commit or ""),
        "web": web,
        "paths": [shown(path) for path in paths.numbers],
        "raw": hostile,
    }


def _finding(finding: Finding, paths: dict[str, _Paths]) -> Json:
    fields: dict[str, Json] = {
        "id": finding.id,
        "kind": shown(finding.kind),
        "title": shown(finding.title),
        "strength": STRENGTHS.index(finding.strength),
        "bits": round(finding.bits, 1),
        "e": None if finding.e_value is None else float(f"{finding.e_value:.2g}"),
        "a": [_span(span, paths["a"]) for span in finding.a],
        "b": [_span(span, paths["b"]) for span in finding.b],
        "lines": _blocks(finding),
        "renames": [_rename(rename, paths, sites=False) for rename in finding.renames],
        "how": list(finding.transformations),
        "also": [shown(name) for name in finding.explained_by],
        "why": [[shown(why.text), round(why.bits, 1), why.a_line, why.b_line] for why in finding.reasons],
        "details": _details(cast(Json, dict(finding.details)), 0),
    }
    return {key: value for key, value in fields.items() if value not in (None, [], {})}


def _blocks(finding: Finding) -> Json:
    """Aligned lines as numbers, the starts as steps from the block before: small numbers pack well."""
    packed_blocks: list[Json] = []
    before_a = before_b = 0
    for block in finding.lines:
        packed_blocks.append(
            [
                block.a_start - before_a,
                block.a_end - block.a_start,
                block.b_start - before_b,
                block.b_end - block.b_start,
                round(block.bits),
                *([block.a, block.b] if block.a or block.b else []),
            ]
        )
        before_a, before_b = block.a_start, block.b_start
    return packed_blocks


def _span(span: Span, paths: _Paths) -> Json:
    return [paths.number(span.path), shown(span.name), span.start_line, span.end_line]


def _rename(rename: Rename, paths: dict[str, _Paths], *, sites: bool) -> Json:
    row: list[Json] = [
        shown(rename.kind),
        shown(rename.a),
        shown(rename.b),
        rename.agreeing,
        rename.contradicting,
    ]
    if sites:
        row.append(
            [
                [paths["a"].number(site.a_path), site.a_line, paths["b"].number(site.b_path), site.b_line]
                for site in rename.sites[:MOST_SITES]
            ]
        )
    return row


def _details(value: Json, depth: int) -> Json:
    """Details with every text made visible, and bounded in depth and length."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, Mapping):
        if depth >= DEEPEST:
            return "…"
        kept = list(value.items())[:MOST_ITEMS]
        return {shown(str(key)): _details(item, depth + 1) for key, item in kept}
    if isinstance(value, list | tuple):
        if depth >= DEEPEST:
            return "…"
        return [_details(item, depth + 1) for item in value[:MOST_ITEMS]]
    return value
