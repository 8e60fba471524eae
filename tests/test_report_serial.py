"""A report survives being written as JSON and read back, byte for byte, and nothing else is taken for one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from report_factory import typical

from detector.errors import UncribError
from detector.evidence import finding as evidence
from detector.report import model
from detector.report.serial import checksum, from_json, recorded_checksum, to_json
from detector.snapshot.model import Notice

SCHEMA = json.loads((Path(__file__).parent.parent / "templates" / "report.schema.json").read_text("utf-8"))


def test_what_was_written_reads_back_equal() -> None:
    report = typical()
    text = to_json(report)
    assert from_json(text) == report
    assert to_json(from_json(text)) == text


def test_the_bytes_do_not_depend_on_the_hash_seed() -> None:
    program = (
        "from report_factory import typical\n"
        "from detector.report.serial import to_json\n"
        "print(to_json(typical()))\n"
    )
    paths = os.pathsep.join(["tests", "."])
    written = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": paths, "PYTHONIOENCODING": "utf-8"},
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(written) == 1


def test_a_report_is_valid_against_its_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(to_json(typical())))


@pytest.mark.parametrize("name", ["Report", *SCHEMA["$defs"]])
def test_the_schema_names_exactly_the_fields_of_the_dataclasses(name: str) -> None:
    found: Any = getattr(model, name, None) or getattr(evidence, name, None) or {"Notice": Notice}[name]
    assert is_dataclass(found)
    described = SCHEMA["properties"] if name == "Report" else SCHEMA["$defs"][name]["properties"]
    assert set(described) - {"checksum"} == {field.name for field in fields(found)}
    assert all(part["description"] for part in described.values())


def test_text_that_no_encoder_likes_survives() -> None:
    report = replace(typical(), warnings=(Notice("\x00 \u202e \udcff \U0001f600 </script>", 'a"b\\c'),))
    assert from_json(to_json(report).encode("utf-8")).warnings == report.warnings


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not readable JSON"),
        ("[]", "not a JSON object"),
        ("[" * 100_000, "not readable JSON"),
        ('{"schema": NaN}', "not readable JSON"),
        ('{"schema": "sarif"}', "not an Uncrib report of a known version"),
        ("{}", "not an Uncrib report of a known version"),
    ],
)
def test_what_is_no_report_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(UncribError, match=said) as caught:
        from_json(text)
    assert "\n" not in str(caught.value)


def _without_findings(value: Any) -> None:
    del value["findings"]


def _bits_as_text(value: Any) -> None:
    value["findings"][3]["bits"] = "many"


def _unknown_verdict(value: Any) -> None:
    value["summary"]["verdict"] = "guilty"


def _unknown_key(value: Any) -> None:
    value["a"]["colour"] = "red"


def _true_as_number(value: Any) -> None:
    value["findings"][0]["a"][0]["start_line"] = True


def _endless_bits(value: Any) -> None:
    value["findings"][0]["bits"] = 10**400


def _bottomless_details(value: Any) -> None:
    deep: Any = {}
    for _ in range(400):
        deep = {"down": [deep]}
    value["findings"][0]["details"] = deep


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_endless_bits, r"findings\[0\].bits should be a number of at most"),
        (_bottomless_details, r"findings\[0\].details should be nested at most 100 levels"),
        (_without_findings, "lacks findings"),
        (_bits_as_text, r"findings\[3\].bits should be a number"),
        (_unknown_verdict, "summary.verdict should be one of none, weak"),
        (_unknown_key, "a.colour is unknown"),
        (_true_as_number, r"findings\[0\].a\[0\].start_line should be a whole number"),
    ],
)
def test_a_damaged_report_is_refused_with_the_place(damage: Callable[[Any], None], said: str) -> None:
    value = json.loads(to_json(typical()))
    damage(value)
    with pytest.raises(UncribError, match=said):
        from_json(json.dumps(value))


def test_the_checksum_covers_the_evidence_and_not_how_sources_were_named() -> None:
    report = typical()
    assert recorded_checksum(to_json(report)) == checksum(report)
    renamed = replace(report, a=replace(report.a, source="./elsewhere", label="x", web=None))
    assert checksum(renamed) == checksum(report)
    changed = replace(report, findings=(replace(report.findings[0], bits=1.0), *report.findings[1:]))
    assert checksum(changed) != checksum(report)
    other_commit = replace(report, b=replace(report.b, commit="0" * 40))
    assert checksum(other_commit) != checksum(report)


def test_a_report_without_checksum_cannot_be_verified() -> None:
    with pytest.raises(UncribError, match="states no checksum"):
        recorded_checksum("{}")


def test_each_finding_stands_on_a_line_of_its_own() -> None:
    report = typical()
    lines = to_json(report).splitlines()
    for finding in report.findings:
        assert sum(f'"id":"{finding.id}"' in line for line in lines) == 1
        assert json.loads(next(line for line in lines if f'"id":"{finding.id}"' in line).rstrip(","))
