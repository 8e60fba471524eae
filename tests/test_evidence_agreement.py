"""The agreement class: renames that kinds of evidence report apart from each other, laid side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detector.evidence import agreement
from detector.evidence.finding import Evidence, Finding, Rename, Span
from detector.evidence.registry import Context
from detector.snapshot import Snapshot, open_snapshot


@pytest.fixture
def side(tmp_path: Path) -> Snapshot:
    (tmp_path / "a.py").write_text("x = 1\n")
    return open_snapshot(str(tmp_path))


def renames(kind: str, *pairs: tuple[str, str]) -> Evidence:
    return Evidence(renames=tuple(Rename(kind, a, b, agreeing=3) for a, b in pairs))


def found(side: Snapshot, **earlier: Evidence) -> tuple[Finding, ...]:
    return agreement.find(side, side, Context(earlier=earlier)).findings


CODE = renames("class", ("Projection", "Resampler"), ("VisionTower", "Vpm"))
WEIGHTS = renames("tensor", ("projection.", "resampler."), ("vision_tower.", "vpm."))


def test_a_class_and_a_tensor_prefix_that_were_renamed_alike_agree(side: Snapshot) -> None:
    (finding,) = found(side, code=CODE, weights=WEIGHTS)
    rows: Any = finding.details["rows"]
    assert rows == [
        ["code", "Projection", "Resampler", 3],
        ["weights", "projection.", "resampler.", 3],
        ["code", "VisionTower", "Vpm", 3],
        ["weights", "vision_tower.", "vpm.", 3],
    ]
    assert finding.strength == "moderate"
    assert finding.bits > 0


def test_three_kinds_without_a_contradiction_are_strong(side: Snapshot) -> None:
    config = renames("key", ("projection", "resampler"))
    (finding,) = found(side, code=CODE, weights=WEIGHTS, config=config)
    assert finding.strength == "strong"
    assert "config" in finding.title


def test_a_file_name_joins_in(side: Snapshot) -> None:
    match = Finding("code", "x", "strong", 1.0, (Span("m/projection.py"),), (Span("resampler.py"),))
    code = Evidence((match,), CODE.renames)
    (finding,) = found(side, code=code)
    assert ["file", "projection", "resampler", 1] in finding.details["rows"]  # type: ignore[operator]
    assert finding.strength == "weak"


def test_a_match_that_public_code_explains_says_nothing_of_files(side: Snapshot) -> None:
    match = Finding(
        "code",
        "x",
        "strong",
        1.0,
        (Span("m/projection.py"),),
        (Span("resampler.py"),),
        explained_by=("timm",),
    )
    assert not found(side, code=Evidence((match,), CODE.renames))


def test_renames_of_one_kind_alone_are_no_finding(side: Snapshot) -> None:
    assert not found(side, code=CODE)


def test_different_words_do_not_agree(side: Snapshot) -> None:
    assert not found(side, code=CODE, weights=renames("tensor", ("head.", "neck.")))


def test_a_word_that_stays_is_no_rename(side: Snapshot) -> None:
    same = ("model.attn.", "llm.attn.")
    assert not found(side, code=renames("attribute", ("attn", "attn")), weights=renames("tensor", same))


def test_a_contradiction_is_listed_and_weakens(side: Snapshot) -> None:
    config = renames("key", ("projection", "bridge"))
    (finding,) = found(side, code=CODE, weights=WEIGHTS, config=config)
    rows: Any = finding.details["rows"]
    assert ["config, contradicting", "projection", "bridge", 3] in rows
    assert finding.strength == "moderate"
    assert "1 contradict" in finding.title


def test_local_variables_do_not_take_part(side: Snapshot) -> None:
    assert not found(side, code=renames("variable", ("projection", "resampler")), weights=WEIGHTS)


def test_the_last_segment_of_a_prefix_counts(side: Snapshot) -> None:
    deep = renames("tensor", ("model.layers.*.glance.", "model.layers.*.block."))
    (finding,) = found(side, code=renames("attribute", ("glance", "block")), weights=deep)
    assert finding.bits > 0
