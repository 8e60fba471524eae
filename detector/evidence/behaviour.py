"""Behaviour: two models' answers to the same questions, above all the same wrong ones.

Right answers agree because they are right; docs/evidence/behaviour.md states what wrong ones can say, and
the scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from detector.errors import UncribError
from detector.evidence.answers.consistency import Consistency, Estimate, measure, plain
from detector.evidence.answers.sheet import Item, Sheet, normal, read_sheet
from detector.evidence.finding import Evidence, Finding, Json, Reason, Span, Strength
from detector.evidence.registry import Context
from detector.snapshot.model import Notice, Snapshot

HONEST_SAME_WRONG = 0.6
"""share of shared mistakes on which honest, unrelated models give the same answer (Kim et al. 2025)"""
_LEAST_ITEMS = 10
_LISTED = 200


def find(a: Snapshot, b: Snapshot, context: Context) -> Evidence:
    """Compare the answers that the options name; nothing where they name none."""
    answers = context.options.answers
    return compare_answers(*answers) if answers else Evidence()


def compare_answers(path_a: str | Path, path_b: str | Path, reference: str | Path | None = None) -> Evidence:
    """Compare two JSONL files of answers, optionally against right answers in a third.

    Malformed lines and questions that only one side answers are notices. Raises UncribError for a file that
    cannot be read or holds no answers, and where the two have no question in common.
    """
    a, b = read_sheet(Path(path_a), "a"), read_sheet(Path(path_b), "b")
    truth = read_sheet(Path(reference)) if reference is not None else None
    notices = [*a.notices, *b.notices, *(truth.notices if truth else ())]
    shared = [item for item in a.answers if item in b.answers]
    if not shared:
        raise UncribError(f"{a.path} and {b.path} answer no question in common; check their ids")
    known = {item.question: normal(answer) for item, answer in truth.answers.items()} if truth else None
    judged = shared if known is None else [item for item in shared if item.question in known]
    for count, text in (
        (len(a.answers) + len(b.answers) - 2 * len(shared), "answers have no counterpart on the other side"),
        (len(shared) - len(judged), "questions have no right answer in the reference"),
    ):
        if count:
            notices.append(Notice(f"{count} {text} and were left out"))
    if len(judged) < _LEAST_ITEMS:
        notices.append(Notice(f"only {len(judged)} answers can be compared; {_LEAST_ITEMS} are needed"))
        return Evidence(notices=tuple(notices))
    return Evidence((_finding(a, b, judged, known),), notices=tuple(notices))


def _finding(a: Sheet, b: Sheet, items: Sequence[Item], truth: dict[str, str] | None) -> Finding:
    measured = measure([item.question for item in items], *_columns(a, b, items, truth))
    same_wrong: list[Json] = [
        [item.question, a.answers[item]]
        for item in items
        if truth is not None
        and normal(a.answers[item]) == normal(b.answers[item])
        and normal(a.answers[item]) != truth[item.question]
    ]
    title = f"{_percent(measured.agreement)} of {measured.items} answers agree"
    if measured.same_wrong is not None:
        title += (
            f"; of {measured.both_wrong} that both got wrong, {_percent(measured.same_wrong)} are the same"
        )
    details: dict[str, Json] = {
        "agreement": measured.agreement.value,
        "kappa": measured.kappa.value,
        "interval": [measured.kappa.low, measured.kappa.high],
        "p_value": measured.p_value,
        "items": measured.items,
        "options": measured.options,
        "both_wrong": measured.both_wrong,
        "error_consistency": _listed(measured.errors),
        "same_wrong_share": _listed(measured.same_wrong),
        "chance_same_wrong": measured.chance_wrong,
        "same_wrong": same_wrong[:_LISTED],
        "levels": _levels(a, b, items, truth),
    }
    reasons = tuple(Reason(text, 0.0) for text in _reasons(measured))
    spans = (Span(a.path),), (Span(b.path),)
    return Finding(
        "behaviour", title, strength(measured), bits(measured), *spans, reasons=reasons, details=details
    )


def strength(measured: Consistency) -> Strength:
    """Rests on wrong answers only, and on the lower ends of the intervals; never "very strong"."""
    wrong, errors = measured.same_wrong, measured.errors
    if wrong is None or errors is None:
        return "weak" if measured.p_value < 0.01 and measured.kappa.low > 0.8 else "none"
    # with two or three possible answers, two mistakes are the same by necessity or nearly so
    open_ended = measured.options >= 4 and wrong.low - measured.chance_wrong >= 0.3
    if measured.p_value < 0.01 and open_ended:
        if measured.both_wrong >= 50 and wrong.low >= 0.9 and errors.low >= 0.8:
            return "strong"
        if measured.both_wrong >= 30 and wrong.low >= 0.75 and errors.low >= 0.6:
            return "moderate"
    return "weak" if measured.p_value < 0.01 and wrong.low > HONEST_SAME_WRONG else "none"


def bits(measured: Consistency) -> float:
    """Information in the shared mistakes against honest models, who agree on HONEST_SAME_WRONG of theirs.

    Number of shared mistakes times the Kullback-Leibler divergence of the lower end of the observed share.
    """
    if measured.same_wrong is None or measured.same_wrong.low <= HONEST_SAME_WRONG or measured.options < 4:
        return 0.0
    share = min(measured.same_wrong.low, 1 - 1e-9)
    gain = share * math.log2(share / HONEST_SAME_WRONG)
    loss = (1 - share) * math.log2((1 - share) / (1 - HONEST_SAME_WRONG))
    return measured.both_wrong * max(0.0, gain + loss)


def _columns(
    a: Sheet, b: Sheet, items: Sequence[Item], truth: dict[str, str] | None
) -> tuple[list[str], list[str], list[str] | None]:
    """The answers of both sides and the right ones, as they are compared."""
    return (
        [normal(a.answers[item]) for item in items],
        [normal(b.answers[item]) for item in items],
        [truth[item.question] for item in items] if truth is not None else None,
    )


def _levels(a: Sheet, b: Sheet, items: Sequence[Item], truth: dict[str, str] | None) -> list[Json]:
    """One row for each noise level: level, items, agreement, share of the same among shared mistakes."""
    rows: list[Json] = []
    for level in dict.fromkeys(item.level for item in items):
        chosen = [item for item in items if item.level == level]
        if level:
            rows.append([level, len(chosen), *plain(*_columns(a, b, chosen, truth))])
    return rows


def _reasons(measured: Consistency) -> list[str]:
    found = [f"agreement beyond chance: kappa {_interval(measured.kappa)}"]
    if measured.errors is not None:
        found.append(f"wrong on the same questions: kappa {_interval(measured.errors)}")
    if measured.same_wrong is not None:
        found.append(f"the same wrong answer: {_interval(measured.same_wrong)} of {measured.both_wrong}")
    return [*found, f"permutation test: p = {measured.p_value:.2g}"]


def _percent(estimate: Estimate) -> str:
    return f"{estimate.value:.0%}"


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} (95 % interval {estimate.low:.2f} to {estimate.high:.2f})"


def _listed(estimate: Estimate | None) -> Json:
    return [estimate.value, estimate.low, estimate.high] if estimate is not None else None
