"""From the evidence of all classes to one report: ids, order, dossier rows, rename map, warnings."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

from detector.evidence.finding import (
    Aligned,
    Evidence,
    Extent,
    Finding,
    Graph,
    Json,
    Reason,
    Rename,
    Site,
    Span,
)
from detector.evidence.grading import graded
from detector.options import Options
from detector.report.excerpts import shown
from detector.report.model import LARGEST, Class, Report, Side, Tool
from detector.report.verdict import counts, judge
from detector.report.wording import scale_step
from detector.snapshot.model import Notice, Snapshot
from detector.version import VERSION

Weighed = TypeVar("Weighed", Finding, Aligned, Reason)
RENAME_SITES = 50
"""sites that the merged rename map keeps for each row; the counts are of all"""
_WITHOUT_EFFECT = ("jobs", "offline")
"""options that change how a report is made but not what it says, so that equal input gives equal bytes"""


def assemble(
    a: Snapshot,
    b: Snapshot,
    upstreams: Sequence[Snapshot],
    evidence: Mapping[str, Evidence],
    options: Options,
) -> Report:
    """Put together what the classes found. The same evidence gives the same report, byte for byte."""
    evidence = graded(evidence)
    findings = _ordered(_identified(finding for found in evidence.values() for finding in found.findings))
    renames = merged_renames(rename for found in evidence.values() for rename in found.renames)
    extent_a, extent_b = _extents(evidence)
    shown_a, shown_b = shown("a", a, findings), shown("b", b, findings)
    warnings = (*_warnings(a, b, upstreams, evidence), *shown_a.notices, *shown_b.notices)
    return Report(
        tool=_tool(options),
        a=_side(a, extent_a),
        b=_side(b, extent_b),
        summary=judge(findings, renames, evidence, warnings),
        classes=tuple(_row(name, findings, found) for name, found in evidence.items()),
        findings=findings,
        renames=renames,
        graph=next((found.graph for found in evidence.values() if found.graph.nodes), Graph()),
        events=tuple(
            sorted(
                {event for found in evidence.values() for event in found.events},
                key=lambda event: (event.at, event.side, event.commit, event.text),
            )
        ),
        warnings=warnings,
        excerpts=(*shown_a.excerpts, *shown_b.excerpts),
        files=(*shown_a.files, *shown_b.files),
    )


def merged_renames(renames: Iterable[Rename]) -> tuple[Rename, ...]:
    """One row for each (kind, a, b), counts added up; the rows with most agreeing sites first."""
    rows: dict[tuple[str, str, str], list[Rename]] = {}
    for rename in renames:
        rows.setdefault((rename.kind, rename.a, rename.b), []).append(rename)
    merged = [
        Rename(
            kind,
            name_a,
            name_b,
            agreeing=sum(row.agreeing for row in group),
            contradicting=sum(row.contradicting for row in group),
            sites=tuple(
                sorted({site for row in group for site in row.sites}, key=_site_order)[:RENAME_SITES]
            ),
        )
        for (kind, name_a, name_b), group in rows.items()
    ]
    return tuple(sorted(merged, key=lambda row: (-row.agreeing, row.contradicting, row.kind, row.a, row.b)))


def _site_order(site: Site) -> tuple[str, int, str, int]:
    return site.a_path, site.a_line, site.b_path, site.b_line


def _identified(findings: Iterable[Finding]) -> list[Finding]:
    """Give each finding its id. Two at the same places are told apart by a number, strongest first."""
    seen: Counter[str] = Counter()
    named = []
    for finding in sorted(findings, key=lambda finding: (-finding.bits, finding.title, repr(finding.a))):
        digest = _digest(finding)
        seen[digest] += 1
        number = "" if seen[digest] == 1 else f"-{seen[digest]}"
        named.append(
            replace(
                _in_floats(finding),
                id=f"{digest}{number}",
                e_value=None if finding.e_value is None else min(float(finding.e_value), LARGEST),
                lines=tuple(map(_in_floats, finding.lines)),
                reasons=tuple(map(_in_floats, finding.reasons)),
            )
        )
    return named


def _in_floats(weighed: Weighed) -> Weighed:
    """Whole and endless numbers of bits as floats that JSON knows, so that a report reads back as written."""
    if type(weighed.bits) is float and weighed.bits <= LARGEST:
        return weighed
    return replace(weighed, bits=min(float(weighed.bits), LARGEST))


def _digest(finding: Finding) -> str:
    """48 bits over kind and places; lines count only where a place has no name, so edits above keep it."""
    places = [[_place(span) for span in side] for side in (finding.a, finding.b)]
    return hashlib.sha256(repr((finding.kind, places)).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _place(span: Span) -> tuple[str, str, int]:
    return span.path, span.name, 0 if span.name else span.start_line


def _ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings that count, then those that their class grades as none, then those set apart; each by bits."""
    return tuple(
        sorted(
            findings,
            key=lambda each: (bool(each.explained_by), not counts(each), -each.bits, each.kind, each.id),
        )
    )


def _row(name: str, findings: Sequence[Finding], found: Evidence) -> Class:
    """A class's line of the dossier. Findings of a class carry its name as their kind."""
    kinds = {finding.kind for finding in found.findings} | {name}
    own = [finding for finding in findings if finding.kind in kinds]
    counting = [finding for finding in own if not finding.explained_by]
    strongest = max(counting, key=lambda each: (scale_step(each.strength), each.bits), default=None)
    return Class(
        name=name,
        findings=len(counting),
        set_apart=len(own) - len(counting),
        strength=strongest.strength if strongest else "none",
        strongest=strongest.id if strongest else None,
        e_value=strongest.e_value if strongest else None,
    )


def _extents(evidence: Mapping[str, Evidence]) -> tuple[Extent, Extent]:
    for found in evidence.values():
        if found.extent_a != Extent() or found.extent_b != Extent():
            return found.extent_a, found.extent_b
    return Extent(), Extent()


def _side(snapshot: Snapshot, extent: Extent) -> Side:
    return Side(
        source=snapshot.source,
        label=snapshot.label,
        commit=snapshot.commit,
        committed_at=snapshot.committed_at,
        files=len(snapshot.files),
        units=extent.units,
        lines=extent.lines,
        web=snapshot.web,
    )


def _warnings(
    a: Snapshot, b: Snapshot, upstreams: Sequence[Snapshot], evidence: Mapping[str, Evidence]
) -> tuple[Notice, ...]:
    """All warnings, each once, in the order in which the work was done."""
    notices = [
        *(replace(notice, side="a") for notice in a.notices),
        *(replace(notice, side="b") for notice in b.notices),
        *(
            replace(notice, where=f"{upstream.label}: {notice.where}".removesuffix(": "))
            for upstream in upstreams
            for notice in upstream.notices
        ),
        *(notice for found in evidence.values() for notice in found.notices),
    ]
    if a.commit is not None and a.commit == b.commit:
        notices.append(Notice("both sides are the same commit, so of course they agree", a.commit[:12]))
    return tuple(dict.fromkeys(notices))


def _tool(options: Options) -> Tool:
    from detector.background.background import Background  # noqa: PLC0415  its table is opened only here

    background = Background.open()
    changed = _changed(options, Options())
    return Tool("uncrib", VERSION, f"{background.name} {background.version}", changed)


def _changed(given: object, default: object) -> dict[str, Json]:
    """The fields in which two values of a dataclass differ, as JSON."""
    changed: dict[str, Json] = {}
    for field in fields(given) if is_dataclass(given) else ():
        mine, usual = getattr(given, field.name), getattr(default, field.name)
        if mine == usual or field.name in _WITHOUT_EFFECT:
            continue
        if is_dataclass(mine):
            changed[field.name] = _changed(mine, usual)
        else:
            changed[field.name] = list(mine) if isinstance(mine, tuple) else mine
    return changed
