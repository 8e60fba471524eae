"""SARIF for code scanning: valid against the standard's schema, and stable between runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from report_factory import typical

from detector.evidence.finding import Finding, Span
from detector.report.model import Report
from detector.report.sarif import to_sarif

# from the npm package @microsoft/jest-sarif 1.0.0-beta.0 (MIT)
SCHEMA = json.loads((Path(__file__).parent / "data" / "sarif-2.1.0.schema.json").read_text("utf-8"))


def _run(report: Report) -> Any:
    log = json.loads(to_sarif(report))
    jsonschema.Draft4Validator(SCHEMA).validate(log)
    return log["runs"][0]


def test_there_is_a_rule_for_each_class_and_a_result_for_each_finding() -> None:
    report = typical()
    run = _run(report)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == [f"uncrib/{row.name}" for row in report.classes]
    assert len(run["results"]) == len(report.findings)
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in run["results"])


def test_results_lie_in_b_and_point_to_a_at_its_commit() -> None:
    report = typical()
    finding = next(item for item in report.findings if item.kind == "code")
    result = next(item for item in _run(report)["results"] if item["ruleId"] == "uncrib/code")
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": finding.b[0].path, "uriBaseId": "B"}
    assert place["region"]["startLine"] == finding.b[0].start_line
    related = result["relatedLocations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert related == f"https://github.com/example/original/blob/{report.a.commit}/{finding.a[0].path}"


def test_fingerprints_are_distinct_and_survive_moved_lines_and_new_scores() -> None:
    report = typical()
    moved = replace(report, findings=tuple(_moved(finding) for finding in report.findings))
    before, after = ([r["partialFingerprints"] for r in _run(item)["results"]] for item in (report, moved))
    assert before == after
    assert len({json.dumps(mark) for mark in before}) == len(report.findings)


def _moved(finding: Finding) -> Finding:
    a, b = (
        tuple(replace(span, start_line=span.start_line + 7, end_line=span.end_line + 7) for span in spans)
        for spans in (finding.a, finding.b)
    )
    return replace(finding, a=a, b=b, bits=finding.bits + 3)


def test_what_public_code_explains_is_suppressed_with_its_names() -> None:
    apart = [result for result in _run(typical())["results"] if "suppressions" in result]
    assert len(apart) == 3
    assert all(result["level"] == "note" for result in apart)
    assert apart[0]["suppressions"][0]["justification"] == "also in torchvision, mmcv"


@pytest.mark.parametrize("path", ["a b/c#d.py", "\u202egpj.py", "%41.py", "ä.py", 'x"><script>.py'])
def test_hostile_paths_stay_valid_addresses(path: str) -> None:
    report = typical()
    finding = replace(report.findings[0], b=(Span(path, "\x07name"),), strength="none")
    result = _run(replace(report, findings=(finding,)))["results"][0]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.isascii()
    assert not set(uri) & set(' "<>#\\')
    assert result["kind"] == "informational"
