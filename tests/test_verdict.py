"""The verdict: docs/verdict.md as tests."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from detector.evidence.finding import Evidence, Extent, Finding, Rename, Span, Strength
from detector.report.verdict import WAYS, Weight, independent, judge, step
from detector.report.wording import STRENGTHS, scale_step

PAGE = Path(__file__).parent.parent / "docs" / "verdict.md"


def finding(
    number: int, strength: Strength = "strong", bits: float = 90.0, kind: str = "code", **more: object
) -> Finding:
    span = Span("model.py", f"f{number}", 10 * number, 10 * number + 9)
    given: dict[str, object] = {
        "kind": kind,
        "title": f"f{number}",
        "strength": strength,
        "bits": bits,
        "a": (span,),
        "b": (span,),
    }
    return Finding(**{**given, **more, "id": f"{kind}{number}"})  # type: ignore[arg-type]


def verdict(findings: list[Finding], renames: tuple[Rename, ...] = (), share: float = 0.5) -> Strength:
    evidence = {
        "code": Evidence(tuple(findings), extent_a=Extent(10, 100, share), extent_b=Extent(10, 100, 0.0))
    }
    return judge(findings, renames, evidence, ()).verdict


def test_nothing_found_is_none() -> None:
    assert verdict([]) == "none"


def test_one_weak_finding_is_weak() -> None:
    assert verdict([finding(1, "weak", 20)]) == "weak"


def test_what_reads_the_same_but_for_names_needs_no_share_of_either_side() -> None:
    of_one_form = [finding(number, "moderate", 25, details={"form_kept": True}) for number in range(3)]
    assert verdict(of_one_form, share=0.01) == "moderate"
    assert verdict(of_one_form[:2], share=0.01) == "weak"
    summary = judge(of_one_form, (), {"code": Evidence(tuple(of_one_form))}, ())
    assert any("the same but for names" in line for line in summary.rests_on)


def test_small_standard_idioms_stay_weak_even_when_they_are_all_there_is() -> None:
    idioms = [finding(number, "moderate", 30) for number in range(5)]
    idioms += [finding(number, "strong", 40) for number in range(5, 7)]
    assert verdict(idioms, share=1.0) == "weak"


def test_who_names_things_alike_also_words_messages_alike() -> None:
    alike = [finding(number, "weak", 40, details={"convergent": True}) for number in range(9)]
    apart = [finding(number, "moderate", 40) for number in range(20, 23)]
    texts = finding(50, "moderate", 90, kind="leftovers")
    options = finding(60, "moderate", 60, kind="config")
    assert verdict([*alike, *apart, texts, options], share=1.0) == "weak"
    mine = [finding(number, "weak", 40, details={"convergent": False}) for number in range(9)]
    evidence = {"code": Evidence(extent_a=Extent(10, 100, 0.5), extent_b=Extent(10, 100, 0.5))}
    assert judge([*mine, *apart, texts], (), evidence, ()).verdict == "moderate"
    assert judge([*alike, *apart, texts], (), evidence, ()).verdict == "weak"
    kinds = "2 kinds of evidence agree: Code, Leftovers"
    assert kinds in judge([*mine, *apart, texts], (), evidence, ()).rests_on
    assert kinds not in judge([*alike, *apart, texts], (), evidence, ()).rests_on


@pytest.mark.parametrize(("kept", "expected"), [(3, "moderate"), (7, "weak")])
def test_who_names_things_alike_also_chooses_the_same_numbers(kept: int, expected: Strength) -> None:
    code = finding(1, "moderate", 20, details={"names_kept": kept, "names_replaced": 10 - kept})
    numbers = finding(2, "moderate", 15, kind="leftovers", details={"link_bits": 15.0})
    evidence = {"code": Evidence(extent_a=Extent(10, 100, 0.05), extent_b=Extent(10, 100, 0.05))}
    assert judge([code, numbers], (), evidence, ()).verdict == expected


def test_a_close_link_of_the_numbers_makes_up_for_little_code() -> None:
    weak = [finding(number, "weak", 12) for number in range(4)]
    some = [finding(number, "moderate", 24) for number in range(10, 13)]

    def judged(link: float, code: list[Finding], both: float = 0.05) -> Strength:
        strength: Strength = "moderate" if link >= 8 else "weak"
        numbers = finding(50, strength, 15, kind="leftovers", details={"link_bits": link})
        extent = Extent(10, 100, both)
        return judge([*code, numbers], (), {"code": Evidence(extent_a=extent, extent_b=extent)}, ()).verdict

    assert judged(15.0, weak) == "moderate"
    assert judged(9.0, weak) == judged(15.0, weak, both=0.005) == "weak"
    assert judged(6.0, some) == "moderate"
    assert judged(4.0, some) == judged(-40.0, some) == judged(6.0, some[:2]) == "weak"


def test_what_its_class_grades_as_none_is_no_evidence() -> None:
    assert verdict([finding(1, "none", 5000)], share=1.0) == "none"


def test_one_strong_function_is_moderate_and_no_more() -> None:
    assert verdict([finding(1, "very strong", 1500)], share=1.0) == "moderate"


def test_many_strong_functions_over_much_of_a_side_are_very_strong() -> None:
    assert verdict([finding(number) for number in range(20)]) == "very strong"


def test_many_strong_functions_over_a_sliver_of_both_sides_are_less() -> None:
    few = [finding(number) for number in range(20)]
    assert scale_step(verdict(few, share=0.01)) < scale_step("strong")


def test_a_renaming_that_contradicts_itself_costs_steps() -> None:
    many = [finding(number) for number in range(20)]
    muddle = (Rename("class", "A", "B", agreeing=5, contradicting=20),)
    assert scale_step(verdict(many, muddle)) < scale_step(verdict(many))


def test_a_few_names_that_were_divided_weigh_nothing_beside_hundreds_that_were_kept() -> None:
    forked = (Rename("class", "Net", "NetV2", agreeing=7, contradicting=20),)
    kept, replaced = ([finding(n, details={"names_kept": places}) for n in range(20)] for places in (50, 0))
    assert verdict(kept, forked) == "very strong"
    assert scale_step(verdict(replaced, forked)) < scale_step("strong")
    said = judge(kept, forked, {"code": Evidence(tuple(kept))}, ()).rests_on
    assert "one renaming: 7 places agree with it, 20 contradict it, and 1,000 keep their name" in said


def test_what_a_kept_name_of_a_class_contradicts_says_nothing_about_the_renaming() -> None:
    many = [finding(number) for number in range(20)]
    assert verdict(many, (Rename("class", "A", "A", 1, 50),)) == verdict(many)


def test_two_kinds_of_evidence_outweigh_one() -> None:
    both = [finding(1, bits=90), finding(2, kind="tokenizer", bits=90)]
    assert verdict(both) == "strong"
    assert verdict([finding(1, bits=90), finding(2, bits=90)]) == "moderate"


def test_another_kind_of_evidence_lifts_a_little_code_over_both_sides_and_nothing_else() -> None:
    constants = finding(1, "moderate", 50, kind="leftovers")
    code = [finding(number, "moderate", 24) for number in range(2)]

    def judged(findings: list[Finding], both: float) -> Strength:
        extent = Extent(10, 100, both)
        evidence = {"code": Evidence(tuple(findings), extent_a=extent, extent_b=extent)}
        return judge(findings, (), evidence, ()).verdict

    assert judged([constants, *code], both=0.05) == "moderate"
    assert judged([constants, *code], both=0.01) == "weak"
    assert judged([constants], both=0.05) == "weak"
    assert judged(code, both=0.05) == "weak"


def test_weights_of_a_whole_model_are_strong_alone() -> None:
    assert verdict([finding(1, "very strong", 300, kind="weights")], share=0) == "strong"


def test_only_independent_findings_of_weight_add_bits() -> None:
    heavy = [finding(1, "strong", 40), finding(2, "moderate", 25)]
    again = replace(heavy[0], id="again", title="another partner of the same function", bits=39)
    by_two_hands = finding(3, "weak", 60, details={"convergent": True})
    of_all = (*heavy, again, by_two_hands)
    assert judge(of_all, (), {"code": Evidence(of_all)}, ()).bits == 65


def test_what_an_upstream_explains_does_not_count() -> None:
    explained = [finding(number, explained_by=("torchvision",)) for number in range(20)]
    summary = judge(explained, (), {"code": Evidence(tuple(explained))}, ())
    assert (summary.verdict, summary.bits) == ("none", 0)
    assert any(line.startswith("20 findings set apart") for line in summary.would_change)


def test_findings_over_the_same_lines_count_once() -> None:
    method = finding(1, bits=300)
    whole = finding(2, "very strong", bits=900, a=(Span("model.py", "Class", 1, 100),))
    assert independent([method, whole]) == [whole]


def test_findings_of_different_kinds_over_the_same_lines_both_count() -> None:
    one, other = finding(1), finding(1, kind="leftovers")
    assert len(independent([one, other])) == 2


@pytest.mark.parametrize(("strength", "least"), WAYS)
def test_each_way_leads_to_its_step_and_not_beyond(strength: Strength, least: Weight) -> None:
    assert scale_step(step(least)) == scale_step(strength)


def test_more_of_anything_never_lowers_the_verdict() -> None:
    for _, least in WAYS:
        for field in fields(Weight):
            more = {item.name: getattr(least, item.name) for item in fields(Weight)}
            more[field.name] += 1
            assert scale_step(step(Weight(**more))) >= scale_step(step(least))


@pytest.mark.parametrize("count", [0, 1, 3, 20])
def test_the_sentence_names_its_step_and_never_speaks_of_proof(count: int) -> None:
    findings = [finding(number) for number in range(count)]
    summary = judge(findings, (), {"code": Evidence(tuple(findings))}, ())
    said = " ".join((summary.sentence, *summary.rests_on, *summary.would_change)).lower()
    assert not re.search(r"prov|plagiar|stolen|thief|guilty", said)
    assert "evidence of common origin" in summary.sentence
    assert summary.verdict == "none" or summary.verdict in summary.sentence.lower()


def test_the_documented_table_is_the_one_that_is_used() -> None:
    steps = PAGE.read_text("utf-8").partition("## The steps")[2]
    rows = re.findall(rf"^\| ({'|'.join(STRENGTHS)}) \|(.*)\|$", steps, re.MULTILINE)
    documented = [(strength, tuple(cell.strip() for cell in cells.split("|"))) for strength, cells in rows]
    assert documented == [
        (strength, tuple(_cell(field.name, least) for field in fields(Weight))) for strength, least in WAYS
    ]


def _cell(name: str, least: Weight) -> str:
    value = getattr(least, name)
    if not value:
        return ""
    return f"{value:.0%}" if name in ("share", "both", "consistency") else f"{value:,.0f}"
