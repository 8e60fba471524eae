"""What two hands write of one page is told from what was taken and hidden, by the numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import detector
from detector.evidence.finding import Evidence, Extent, Finding, Json, Span, Strength
from detector.evidence.grading import APART, CONVERGENT, FORM, REFERS, graded
from detector.options import Options

HONEST = Path(__file__).parent.parent / "benchmarks" / "honest"
FOUND = Finding("code", "f and g", "strong", 40.0, (), (), details={"text_kept": 0.1})


def code(
    finding: Finding, in_what_matches: float | None, in_all: float | None, share: float = 0.0
) -> Finding:
    evidence = {
        "code": Evidence((finding,), extent_a=side(share), extent_b=side(0.4), link=in_what_matches),
        "leftovers": Evidence(link=in_all),
    }
    (after,) = graded(evidence)["code"].findings
    return after


def side(share: float) -> Extent:
    return Extent(20, 400, share)


def test_code_in_another_text_between_sides_that_choose_other_numbers_is_weak() -> None:
    after = code(FOUND, -20.0, -30.0)
    assert (after.strength, after.bits, after.details[APART]) == ("weak", 40.0, True)
    assert code(FOUND, -1.0, -8.0) == after


@pytest.mark.parametrize(
    ("in_what_matches", "in_all"), [(5.0, -90.0), (-60.0, 14.0), (-60.0, None), (None, -90.0), (0.0, -90.0)]
)
def test_a_copy_keeps_its_numbers_in_all_its_code_or_in_the_part_that_was_taken(
    in_what_matches: float | None, in_all: float | None
) -> None:
    assert code(FOUND, in_what_matches, in_all) == FOUND


def test_where_much_of_both_sides_matches_few_numbers_there_are_no_copys_numbers() -> None:
    assert code(FOUND, 5.0, -30.0, share=0.1).strength == "weak"
    assert code(FOUND, 9.0, -30.0, share=0.1) == FOUND
    assert code(FOUND, 5.0, -7.0, share=0.1) == FOUND


@pytest.mark.parametrize("kind", ["weights", "tokenizer", "behaviour"])
def test_two_hands_at_one_page_do_not_explain_a_model_that_both_sides_hold(kind: str) -> None:
    evidence = {"code": Evidence((FOUND,), link=-20.0), "leftovers": Evidence(link=-30.0)}
    of_the_model = replace(FOUND, kind=kind)
    assert graded({**evidence, kind: Evidence((of_the_model,))})["code"].findings == (FOUND,)
    of_a_base = replace(of_the_model, explained_by=("gpt2",))
    (after,) = graded({**evidence, kind: Evidence((of_a_base,))})["code"].findings
    assert after.strength == "weak"


def test_names_that_agree_by_themselves_are_weak_unless_the_model_is_one() -> None:
    alike = replace(FOUND, details={"text_kept": 0.1, CONVERGENT: True})
    after = code(alike, None, None)
    assert (after.strength, after.bits, after.details[CONVERGENT]) == ("weak", 40.0, True)
    model = Evidence((replace(FOUND, kind="weights"),))
    (after,) = graded({"code": Evidence((alike,)), "weights": model})["code"].findings
    assert (after.strength, after.details[CONVERGENT]) == ("strong", False)


@pytest.mark.parametrize(
    ("number", "weight", "references", "expected"),
    [
        (22, "moderate", 1, "strong"),
        (90, "very strong", 3, "strong"),
        (21, "moderate", 3, "weak"),
        (22, "weak", 3, "weak"),
        (90, "strong", 0, "weak"),
    ],
)
def test_who_still_refers_to_the_other_sides_files_did_not_find_its_rare_names_again(
    number: int, weight: Strength, references: int, expected: Strength
) -> None:
    alike = replace(FOUND, details={"text_kept": 0.1, CONVERGENT: True})
    item: Json = ["identifier", "frobnicated_patch", 20.0, "a.py:1", "b.py:1"]
    listed: dict[str, Json] = {"items": [item] * 10, "more": number - 10}
    left = Finding("leftovers", "rare identifiers", weight, 300.0, (), (), details=listed)
    reference = replace(left, title="B refers to a module", details={"items": [], REFERS: references})
    evidence = {"code": Evidence((alike,), link=-20.0), "leftovers": Evidence((left, reference), link=-30.0)}
    (after,) = graded(evidence)["code"].findings
    assert after.strength == expected


def shared(share: float, kept: int, replaced: int, **details: Json) -> set[Strength]:
    """The grades of code in which functions kept their names or were given others, over a share of both."""
    names = [(f"f{number}", f"f{number}") for number in range(kept)]
    names += [(f"a{number}", f"b{number}") for number in range(replaced)]
    found = tuple(
        replace(FOUND, a=(Span("m.py", a, 1, 9),), b=(Span("n.py", b, 1, 9),), details=details)
        for a, b in names
    )
    one, other = Extent(100, 1000, share), Extent(100, 1000, 1.0)
    evidence = {
        "code": Evidence(found, extent_a=one, extent_b=other, link=-20.0),
        "leftovers": Evidence(link=-30.0),
    }
    return {finding.strength for finding in graded(evidence)["code"].findings}


@pytest.mark.parametrize(
    ("share", "kept", "replaced", "expected"),
    [
        (0.5, 1, 19, "strong"),  # all functions renamed, and so much in common
        (0.3, 1, 19, "weak"),
        (0.5, 4, 16, "weak"),
        (0.7, 10, 10, "strong"),  # more in common than two hands have
        (0.7, 20, 0, "strong"),
        (0.7, 3, 4, "weak"),  # too few functions to say so
        (0.7, 6, 6, "weak"),  # too little code
    ],
)
def test_who_works_a_whole_program_over_may_change_its_numbers_and_keep_its_names(
    share: float, kept: int, replaced: int, expected: Strength
) -> None:
    assert shared(share, kept, replaced, text_kept=0.1) == {expected}
    assert shared(share, kept, replaced, text_kept=0.1, convergent=True) == {expected}


def test_what_was_left_as_it_stood_is_evidence_whatever_the_numbers_say() -> None:
    verbatim = replace(FOUND, details={"text_kept": 0.9})
    assert code(verbatim, -20.0, -30.0) == verbatim


def test_what_reads_the_same_but_for_names_is_evidence_whatever_the_numbers_say() -> None:
    renamed = replace(FOUND, details={"text_kept": 0.1, FORM: True})
    assert code(renamed, -20.0, -30.0) == renamed


def test_without_the_leftovers_the_report_says_that_they_are_missing() -> None:
    one, two = (str(HONEST / "glow_flow" / name) for name in ("hand_one", "hand_four"))
    report = detector.compare(one, two, Options(history=False, only=("code",)))
    assert "the leftovers, which were not compared" in report.summary.would_change[0]


def test_two_hands_of_different_habits_are_weak_and_a_renamed_copy_is_not() -> None:
    def compared(other: str) -> detector.Report:
        one, two = (str(HONEST / "glow_flow" / name) for name in ("hand_one", other))
        return detector.compare(one, two, Options(history=False, only=("code", "leftovers")))

    honest, copy = compared("hand_four"), compared("laundered_1_renamed")
    assert honest.summary.verdict == "weak"
    assert any(finding.details.get(APART) for finding in honest.findings)
    assert any("choose other numbers" in line for line in honest.summary.rests_on)
    assert copy.summary.verdict == "very strong"
    assert not any(finding.details.get(APART) for finding in copy.findings)


def test_a_copy_that_a_lazy_hand_reworked_is_found_and_the_report_says_why_it_counts() -> None:
    one, two = (str(HONEST / "tabular_transformer" / name) for name in ("hand_one", "laundered_5_reworked"))
    report = detector.compare(one, two, Options(history=False, only=("code", "leftovers")))
    assert report.summary.verdict in ("strong", "very strong")
    assert any("more in common than two hands" in line for line in report.summary.rests_on)
