"""What the page's script draws from: findings and the code they show, packed small.

The page carries this as gzipped text; the browser unpacks it with its own DecompressionStream. Paths are kept
once, code once per excerpt, renames once, and empty fields not at all.
"""

from __future__ import annotations

import base64
import json
import zlib
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
    """The payload as text for a script element; the same report gives the same text.

    JSON, then each excerpt's text after a NUL (which no shown text holds), gzipped, in base 85 (RFC 1924's
    letters, with / for <, so that nothing in it looks like a tag), after its length in four bytes.
    """
    plain, texts = payload(report)
    head = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
    gzipped = zlib.compressobj(9, zlib.DEFLATED, 31, 9)
    data = gzipped.compress("\0".join([head, *texts]).encode()) + gzipped.flush()
    return base64.b85encode(len(data).to_bytes(4, "big") + data, pad=True).decode().replace("<", "/")


def payload(report: Report) -> tuple[dict[str, Json], list[str]]:
    """The payload as plain data, and the texts of the excerpts that its `text` lists as [side, path, line].

    A finding's rename is a number where it is that row of `renames`, [row, agreeing, contradicting] where
    only the counts are its own, and otherwise a row of its own.
    """
    paths = {"a": _Paths(), "b": _Paths()}
    excerpts = sorted(report.excerpts, key=lambda item: (item.path.rpartition("/")[2], item.start_line))
    places: list[Json] = [
        ["ab".index(excerpt.side), paths[excerpt.side].number(excerpt.path), excerpt.start_line]
        for excerpt in excerpts
    ]
    rows = {(rename.kind, rename.a, rename.b): row for row, rename in enumerate(report.renames)}
    findings: list[Json] = [
        _finding(finding, paths)
        | {"renames": [_reference(rename, rows, report.renames) for rename in finding.renames]}
        for finding in report.findings
    ]
    renames: list[Json] = [[*_rename(rename), _sites(rename, paths)] for rename in report.renames]
    sides: list[Json] = [_side(report, side, paths[side]) for side in ("a", "b")]
    kinds = sorted({finding.kind for finding in report.findings})
    plain: dict[str, Json] = {
        "sides": sides,
        "kinds": {shown(kind): shown(kind_label(kind)) for kind in kinds},
        "strengths": list(STRENGTHS),
        "text": places,
        "findings": findings,
        "renames": renames,
    }
    return plain, [shown(excerpt.text) for excerpt in excerpts]


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


def _finding(finding: Finding, paths: dict[str, _Paths]) -> dict[str, Json]:
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


def _rename(rename: Rename) -> list[Json]:
    names = (shown(rename.a), shown(rename.b))
    return [shown(rename.kind), *names, rename.agreeing, rename.contradicting]


def _sites(rename: Rename, paths: dict[str, _Paths]) -> Json:
    return [
        [paths["a"].number(site.a_path), site.a_line, paths["b"].number(site.b_path), site.b_line]
        for site in rename.sites[:MOST_SITES]
    ]


def _reference(rename: Rename, rows: dict[tuple[str, str, str], int], renames: tuple[Rename, ...]) -> Json:
    row = rows.get((rename.kind, rename.a, rename.b))
    if row is None:
        return _rename(rename)
    counts = (rename.agreeing, rename.contradicting)
    same = counts == (renames[row].agreeing, renames[row].contradicting)
    return row if same else [row, *counts]


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
