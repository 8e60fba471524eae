"""The behaviour class: answers of related and unrelated models, and files that are not as they should be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.errors import UncribError
from detector.evidence import behaviour
from detector.evidence.behaviour import compare_answers
from detector.evidence.finding import Evidence, Finding
from detector.evidence.registry import Context
from detector.options import Options
from detector.snapshot import open_snapshot

QUESTIONS = [f"question {number}" for number in range(400)]
TRUTH = [f"fact {number}" for number in range(400)]


def model(seed: int, skill: float = 0.6, distractors: int = 6) -> list[str]:
    """Answers of a model that knows a part and otherwise picks one of the question's plausible mistakes."""
    random = np.random.default_rng(seed)
    return [
        truth if random.random() < skill else f"mistake {number} {random.integers(distractors)}"
        for number, truth in enumerate(TRUTH)
    ]


def changed(answers: Sequence[str], seed: int, share: float) -> list[str]:
    """The same model with a few answers disturbed by noise on its weights."""
    random = np.random.default_rng(seed)
    other = model(seed + 100)
    return [new if random.random() < share else old for old, new in zip(answers, other, strict=True)]


def written(path: Path, answers: Sequence[str], **fields: Any) -> Path:
    rows = [
        {"question": question, "answer": answer, **fields}
        for question, answer in zip(QUESTIONS, answers, strict=True)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def compared(tmp_path: Path, a: Sequence[str], b: Sequence[str], reference: bool = True) -> Finding:
    a_file, b_file = written(tmp_path / "a.jsonl", a), written(tmp_path / "b.jsonl", b)
    truth = written(tmp_path / "truth.jsonl", TRUTH) if reference else None
    (finding,) = compare_answers(a_file, b_file, truth).findings
    return finding


def test_the_same_model_under_noise_shares_its_mistakes(tmp_path: Path) -> None:
    answers = model(1)
    finding = compared(tmp_path, answers, changed(answers, 2, 0.03))
    assert finding.strength in ("moderate", "strong")
    assert finding.bits > 20
    same: Any = finding.details["same_wrong"]
    assert len(same) > 100
    assert all(answer.startswith("mistake") for _, answer in same)


def test_two_honest_models_say_nothing_however_many_right_answers_they_share(tmp_path: Path) -> None:
    finding = compared(tmp_path, model(1, skill=0.9), model(2, skill=0.9))
    assert finding.strength == "none"
    assert finding.bits == 0
    agreement: Any = finding.details["agreement"]
    assert agreement > 0.75


def test_models_that_fall_for_the_same_tempting_mistakes_say_nothing(tmp_path: Path) -> None:
    """Unrelated models give the same answer to about 60 % of the questions that both get wrong."""
    random = np.random.default_rng(5)
    tempting = [f"mistake {number} 0" for number in range(400)]
    sides = [
        [
            tempting[number] if answer.startswith("mistake") and random.random() < 0.75 else answer
            for number, answer in enumerate(model(seed))
        ]
        for seed in (1, 2)
    ]
    finding = compared(tmp_path, sides[0], sides[1])
    share: Any = finding.details["same_wrong_share"]
    assert 0.45 < share[0] < 0.75
    assert finding.strength in ("none", "weak")


def test_a_yes_or_no_test_cannot_show_shared_mistakes(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    truth = [("yes", "no")[int(random.integers(2))] for _ in QUESTIONS]
    wrong = {"yes": "no", "no": "yes"}
    answers = [wrong[right] if random.random() < 0.4 else right for right in truth]
    same = written(tmp_path / "a.jsonl", answers)
    (finding,) = compare_answers(same, same, written(tmp_path / "t.jsonl", truth)).findings
    assert finding.strength in ("none", "weak")
    assert finding.bits == 0


def test_without_a_reference_agreement_is_weak_at_most(tmp_path: Path) -> None:
    assert compared(tmp_path, model(1), model(1), reference=False).strength == "weak"
    assert compared(tmp_path, model(1), model(2), reference=False).strength == "none"


def test_kappa_is_cohens(tmp_path: Path) -> None:
    """Cohen 1960: 20 + 15 of 50 agree, marginals 25/25 and 30/20, kappa 0.4."""
    a = ["yes"] * 25 + ["no"] * 25
    b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    for name, answers in (("a", a), ("b", b)):
        rows = [{"id": number, "answer": answer} for number, answer in enumerate(answers)]
        (tmp_path / name).write_text("\n".join(map(json.dumps, rows)))
    (finding,) = compare_answers(tmp_path / "a", tmp_path / "b").findings
    assert finding.details["agreement"] == pytest.approx(0.7)
    assert finding.details["kappa"] == pytest.approx(0.4)
    interval: Any = finding.details["interval"]
    assert interval[0] < 0.4 < interval[1]


def test_the_same_files_give_the_same_numbers(tmp_path: Path) -> None:
    assert compared(tmp_path, model(1), model(2)) == compared(tmp_path, model(1), model(2))


def test_case_width_and_punctuation_do_not_count(tmp_path: Path) -> None:
    shouted = [f"  {answer.upper()}. " for answer in model(1)]
    assert compared(tmp_path, model(1), shouted).details["agreement"] == 1


def test_noise_levels_are_listed_and_count_as_one_question(tmp_path: Path) -> None:
    answers = model(1)
    for name, seed in (("a", 0), ("b", 7)):
        place = tmp_path / name
        place.write_text("")
        for level in (0.0, 0.01, 0.02):
            disturbed = changed(answers, seed + int(1000 * level), 0.05)
            part = written(tmp_path / "part", disturbed, noise=level).read_text()
            place.write_text(place.read_text() + part)
    (finding,) = compare_answers(tmp_path / "a", tmp_path / "b", written(tmp_path / "t", TRUTH)).findings
    levels: Any = finding.details["levels"]
    assert [row[:2] for row in levels] == [["0.0", 400], ["0.01", 400], ["0.02", 400]]
    assert finding.details["items"] == 1200


BAD_LINES = [
    ("not JSON", "is not valid JSON"),
    ("[" * 100_000, "is nested too deeply"),
    ("[1]", "is not an object"),
    ('{"question": "q"}', "has no question or no answer"),
    ('{"question": "q", "answer": {"a": 1}}', "has no question or no answer"),
    ('{"question": "question 3", "answer": "again"}', "was answered before"),
    ('{"question": "q", "answer": "' + "x" * 2**20 + '"}', "is longer than"),
    ("\0\0\0", "is not valid JSON"),
]


@pytest.mark.parametrize(("line", "message"), BAD_LINES)
def test_a_bad_line_is_a_notice_with_its_number(tmp_path: Path, line: str, message: str) -> None:
    good = written(tmp_path / "a.jsonl", model(1))
    bad = written(tmp_path / "b.jsonl", model(1))
    lines = bad.read_text().splitlines()
    bad.write_text("\n".join([*lines[:10], line, *lines[10:]]))
    evidence = compare_answers(good, bad)
    (notice,) = evidence.notices
    assert notice.message.startswith("line 11 ")
    assert message in notice.message
    assert notice.side == "b"
    assert evidence.findings[0].details["items"] == 400


def test_many_bad_lines_are_counted_together(tmp_path: Path) -> None:
    good = written(tmp_path / "a.jsonl", model(1))
    bad = tmp_path / "b.jsonl"
    bad.write_text("oops\n" * 1000 + good.read_text())
    assert [notice.message for notice in compare_answers(good, bad).notices][
        -1
    ] == "980 more lines were left out"


def test_questions_without_counterpart_are_counted(tmp_path: Path) -> None:
    a = written(tmp_path / "a.jsonl", model(1))
    b = tmp_path / "b.jsonl"
    b.write_text("".join(a.read_text().splitlines(keepends=True)[:50]))
    assert compare_answers(a, b).notices[0].message.startswith("350 answers have no counterpart")


def test_a_wrong_file_is_one_plain_sentence(tmp_path: Path) -> None:
    good = written(tmp_path / "a.jsonl", model(1))
    (tmp_path / "empty").write_text("")
    (tmp_path / "other").write_text('{"question": "another", "answer": "x"}\n')
    with pytest.raises(UncribError, match="cannot be read"):
        compare_answers(good, tmp_path / "missing")
    with pytest.raises(UncribError, match="holds no answers"):
        compare_answers(good, tmp_path / "empty")
    with pytest.raises(UncribError, match="no question in common"):
        compare_answers(good, tmp_path / "other")


def test_too_few_answers_are_no_finding(tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.write_text('{"question": "question 3", "answer": "x"}\n')
    evidence = compare_answers(few, few)
    assert not evidence.findings
    assert "10 are needed" in evidence.notices[0].message


def test_compare_uses_the_answers_that_the_options_name(tmp_path: Path) -> None:
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "a.py").write_text("x = 1\n")
    side = open_snapshot(str(tmp_path / "repository"))
    files = tuple(str(written(tmp_path / name, model(1))) for name in ("a.jsonl", "b.jsonl"))
    assert behaviour.find(side, side, Context()) == Evidence()
    assert behaviour.find(side, side, Context(Options(answers=files))).findings
