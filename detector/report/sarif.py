"""The report as SARIF 2.1.0, for code scanning (OASIS, Static Analysis Results Interchange Format)."""

from __future__ import annotations

import hashlib
import json
from urllib.parse import quote

from detector.evidence.finding import Finding, Json, Span, Strength
from detector.report.model import Report
from detector.report.text import visible
from detector.report.wording import bits, e_value, kind_about, kind_label, permalink

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: dict[Strength, str] = {
    "none": "none",
    "weak": "note",
    "moderate": "warning",
    "strong": "error",
    "very strong": "error",
}


def to_sarif(report: Report) -> str:
    """One run with a rule for each evidence class and a result for each finding, located in side B.

    Code scanning looks at one repository, so B is the one that is scanned; places in A are related locations.
    Findings that known public code explains are results of level "note" with a suppression that says so.
    Partial fingerprints depend on the evidence class and the names and paths on both sides, not on lines or
    scores, so that a later run recognises a finding that moved.
    """
    kinds = list(dict.fromkeys([*(row.name for row in report.classes), *(f.kind for f in report.findings)]))
    run: dict[str, Json] = {
        "tool": {"driver": _driver(report, kinds)},
        "originalUriBaseIds": {"B": {"description": {"text": f"root of {visible(report.b.label)}"}}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(report, finding, kinds) for finding in report.findings],
        "properties": {
            "verdict": report.summary.verdict,
            "bits": report.summary.bits,
            "a": {"source": report.a.source, "commit": report.a.commit},
            "b": {"source": report.b.source, "commit": report.b.commit},
        },
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _driver(report: Report, kinds: list[str]) -> Json:
    rules: list[Json] = [
        {
            "id": f"uncrib/{kind}",
            "name": "".join(part.capitalize() for part in kind_label(kind).split()),
            "shortDescription": {"text": f"{kind_label(kind)}: evidence of common origin"},
            "fullDescription": {
                "text": f"Evidence of common origin in {kind_about(kind) or kind_label(kind)}."
            },
            "defaultConfiguration": {"level": "warning"},
        }
        for kind in kinds
    ]
    return {"name": "Uncrib", "semanticVersion": report.tool.version, "rules": rules}


def _result(report: Report, finding: Finding, kinds: list[str]) -> Json:
    result: dict[str, Json] = {
        "ruleId": f"uncrib/{finding.kind}",
        "ruleIndex": kinds.index(finding.kind),
        "level": "note" if finding.explained_by else _LEVELS[finding.strength],
        "kind": "fail",
        "message": {"text": _message(report, finding)},
        "locations": [_location(span) for span in finding.b],
        "relatedLocations": [
            _related(report, span, number) for number, span in enumerate(finding.a, start=1)
        ],
        "partialFingerprints": {"uncribFinding/v1": fingerprint(finding)},
        "properties": {
            "bits": finding.bits,
            "eValue": finding.e_value,
            "strength": finding.strength,
            "transformations": list(finding.transformations),
            "explainedBy": list(finding.explained_by),
        },
    }
    if result["level"] == "none":
        # the standard allows level "none" only for results that did not fail
        result["kind"] = "informational"
    if finding.explained_by:
        also = visible(", ".join(finding.explained_by))
        result["suppressions"] = [{"kind": "external", "justification": f"also in {also}"}]
    return result


def fingerprint(finding: Finding) -> str:
    """What stays the same when lines move and scores change: class, paths and names, as 32 hex digits."""
    places = [[span.path, span.name] for span in (*finding.a, *finding.b)]
    return hashlib.sha256(json.dumps([finding.kind, len(finding.a), places]).encode()).hexdigest()[:32]


def _message(report: Report, finding: Finding) -> str:
    weight = f"{finding.strength}, {bits(finding.bits)} bits"
    if finding.e_value is not None:
        weight += f", E-value {e_value(finding.e_value)}"
    parts = [f"{visible(finding.title)} ({weight}; compared with {visible(report.a.label)})."]
    parts += [f"{visible(reason.text)} ({bits(reason.bits)} bits)." for reason in finding.reasons[:3]]
    return " ".join(parts)


def _region(span: Span) -> Json:
    start = max(span.start_line, 1)
    return {"startLine": start, "endLine": max(span.end_line, start)}


def _location(span: Span) -> Json:
    location: dict[str, Json] = {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(span.path, errors="replace"), "uriBaseId": "B"},
            "region": _region(span),
        }
    }
    if span.name:
        location["logicalLocations"] = [{"fullyQualifiedName": visible(span.name)}]
    return location


def _related(report: Report, span: Span, number: int) -> Json:
    address = permalink(report.a, span.path, span.start_line, span.end_line)
    return {
        "id": number,
        "message": {
            "text": f"in {visible(report.a.label)}: {visible(span.path)} {visible(span.name)}".rstrip()
        },
        "physicalLocation": {
            "artifactLocation": {"uri": (address or quote(span.path, errors="replace")).partition("#")[0]},
            "region": _region(span),
        },
    }
