"""The verdict: a step on a measured scale, what it rests on, and what would change it (docs/verdict.md).

A step is reached in one of several ways, each a row of least quantities in `WAYS`; the highest step with
a way that holds is the verdict. Only findings that nothing explains are measured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from detector.evidence.finding import Evidence, Finding, Rename, Span, Strength
from detector.evidence.grading import APART, CONVERGENT, FORM, LINKED, WORKED_OVER
from detector.report import wording
from detector.report.model import Summary
from detector.report.wording import STRENGTHS, scale_step
from detector.snapshot.model import Notice

WHOLE_MODEL = ("weights", "behaviour")
"""classes of which one finding speaks of a whole model, not of one function or file"""

DERIVED = ("history", "agreement")
"""classes that look again at what others found, and so are no further kind of evidence"""

CHOSEN = ("leftovers", "config")
"""classes that look at what an author chooses as freely as names: words, numbers, options, their defaults"""

_NEAR = 5
"""bits of a link that is worth telling"""


@dataclass(frozen=True, slots=True)
class Weight:
    """What the verdict is measured from; the same fields are the least quantities of a way.

    Findings are *independent* when no two of one class lie over the same lines of either side.
    """

    findings: int = 0
    """independent findings, of any strength but none"""
    moderate: int = 0
    """independent findings that are moderate or stronger"""
    formed: int = 0
    """those of them that lie between files whose statements read the same but for names"""
    linked: float = 0.0
    """log2 of how much likelier a copy is than another hand to leave such lists of numbers"""
    strong: int = 0
    """independent findings that are strong or stronger"""
    whole: int = 0
    """very strong findings about a whole model"""
    classes: int = 0
    """evidence classes with a finding that is moderate or stronger, without those that are derived"""
    bits: float = 0.0
    """bits of the independent findings that are moderate or stronger"""
    best: float = 0.0
    """bits of the one of them that has most"""
    share: float = 0.0
    """part of the information of the side that is covered more"""
    both: float = 0.0
    """the same of the side that is covered less"""
    consistency: float = 0.0
    """part of the places of names that keep it or agree with the rename map; 1 where nothing was renamed"""

    def reaches(self, least: Weight) -> bool:
        """Whether every quantity is at least as large as asked for."""
        return all(getattr(self, name) >= getattr(least, name) for name in self.__slots__)


WAYS: tuple[tuple[Strength, Weight], ...] = (
    ("very strong", Weight(strong=10, bits=800, best=60, share=0.15, consistency=0.5)),
    ("very strong", Weight(strong=4, classes=4, bits=300, share=0.15, consistency=0.5)),
    ("strong", Weight(moderate=6, strong=4, bits=250, best=60, share=0.08, consistency=0.5)),
    ("strong", Weight(moderate=10, strong=1, bits=300, both=0.30, consistency=0.5)),
    ("strong", Weight(moderate=10, strong=5, bits=400, share=0.08, consistency=0.5)),
    ("strong", Weight(strong=2, classes=2, bits=150, best=60, share=0.08, consistency=0.5)),
    ("strong", Weight(strong=3, classes=3, bits=100, consistency=0.5)),
    ("strong", Weight(whole=1)),
    ("moderate", Weight(strong=1, bits=90, best=60)),
    ("moderate", Weight(strong=1, classes=2, bits=60)),
    ("moderate", Weight(moderate=2, classes=2, bits=25, both=0.02, consistency=0.5)),
    ("moderate", Weight(moderate=6, strong=2, bits=200, best=50, consistency=0.5)),
    ("moderate", Weight(formed=3, bits=60, consistency=0.5)),
    ("moderate", Weight(linked=10, both=0.01, consistency=0.5)),
    ("moderate", Weight(moderate=3, linked=5, bits=60, both=0.02, consistency=0.5)),
    ("moderate", Weight(moderate=4, bits=80, both=0.15, consistency=0.5)),
    ("weak", Weight(findings=1)),
)
"""strongest step first; what a row leaves at zero it does not ask for"""


def judge(
    findings: Sequence[Finding],
    renames: Sequence[Rename],
    evidence: Mapping[str, Evidence],
    warnings: Sequence[Notice],
) -> Summary:
    """The summary of a report. `findings` are all of them; those that something explains are left aside."""
    counting = [finding for finding in findings if counts(finding)]
    apart = sum(bool(finding.explained_by) for finding in findings)
    alone = independent(counting)
    shares = _shares(evidence)
    weight = weigh(alone, renames, shares)
    verdict = step(weight)
    chance = [found.chance_findings for found in evidence.values() if found.chance_findings is not None]
    expected = sum(chance) if chance else None
    return Summary(
        verdict=verdict,
        sentence=_sentence(verdict, len(alone), shares),
        bits=weight.bits,
        share_a=shares[0],
        share_b=shares[1],
        rests_on=tuple(_rests_on(alone, weight, shares, renames, expected)),
        would_change=tuple(_would_change(verdict, weight, apart, _missing(evidence), warnings)),
        chance_findings=expected,
    )


def counts(finding: Finding) -> bool:
    """Whether a finding is evidence: nothing explains it, and its class did not grade it as none."""
    return not finding.explained_by and finding.strength != "none"


def step(weight: Weight) -> Strength:
    """The highest step with a way that holds."""
    return next((strength for strength, least in WAYS if weight.reaches(least)), "none")


def weigh(alone: Sequence[Finding], renames: Sequence[Rename], shares: tuple[float, float]) -> Weight:
    """Measure independent findings. `shares` of A and of B are from 0 to 1."""
    telling = _telling(alone)
    heavy = _heavy(telling)
    links = (finding.details.get(LINKED) for finding in telling)
    return Weight(
        findings=len(alone),
        moderate=len(heavy),
        strong=sum(scale_step(finding.strength) >= scale_step("strong") for finding in alone),
        formed=sum(finding.details.get(FORM) is True for finding in heavy),
        linked=max((0.0, *(float(link) for link in links if isinstance(link, (int, float))))),
        whole=sum(finding.kind in WHOLE_MODEL and finding.strength == "very strong" for finding in alone),
        classes=len(_kinds(heavy)),
        bits=sum(finding.bits for finding in heavy),
        best=max((finding.bits for finding in heavy), default=0.0),
        share=max(shares),
        both=min(shares),
        consistency=_consistency(alone, renames),
    )


def _heavy(telling: Sequence[Finding]) -> list[Finding]:
    """Findings that are moderate or stronger."""
    return [finding for finding in telling if scale_step(finding.strength) >= scale_step("moderate")]


def _telling(alone: Sequence[Finding]) -> list[Finding]:
    """All findings but those of `CHOSEN` classes, of moderate strength at most, where these prove little.

    Where most code findings are such as two hands come to by themselves, these also word messages and name
    options alike; and where most names agree, they also choose the same numbers.
    """
    code = [finding for finding in alone if finding.kind == "code"]
    kept, replaced = (_places(code, key) for key in ("names_kept", "names_replaced"))
    alike, named_alike = 2 * _convergent(code) > len(code), kept > replaced
    return [
        finding
        for finding in alone
        if not (finding.kind in CHOSEN and scale_step(finding.strength) <= scale_step("moderate"))
        or not (alike or (named_alike and LINKED in finding.details))
    ]


def _kinds(heavy: Sequence[Finding]) -> set[str]:
    """Their evidence classes, without those that are derived."""
    return {finding.kind for finding in heavy} - set(DERIVED)


def _places(code: Iterable[Finding], key: str) -> float:
    """How many places of names in code findings are of a kind."""
    counts = (finding.details.get(key) for finding in code)
    return sum(found for found in counts if isinstance(found, (int, float)))


def _convergent(alone: Sequence[Finding]) -> int:
    """How many code findings are such as two hands come to by themselves."""
    return sum(finding.details.get(CONVERGENT) is True for finding in alone)


def independent(findings: Iterable[Finding]) -> list[Finding]:
    """Findings of which no two of one class share lines on either side: the stronger one stays."""
    taken: dict[tuple[str, str, str], list[Span]] = defaultdict(list)
    chosen = []
    for finding in sorted(findings, key=lambda each: (-scale_step(each.strength), -each.bits, each.id)):
        places = [("a", span) for span in finding.a] + [("b", span) for span in finding.b]
        keys = [((finding.kind, side, span.path), span) for side, span in places]
        if any(_overlap(span, other) for key, span in keys for other in taken[key]):
            continue
        for key, span in keys:
            taken[key].append(span)
        chosen.append(finding)
    return chosen


def _overlap(one: Span, other: Span) -> bool:
    return one.start_line <= other.end_line and other.start_line <= one.end_line


def _shares(evidence: Mapping[str, Evidence]) -> tuple[float, float]:
    return (
        max((found.extent_a.share for found in evidence.values()), default=0.0),
        max((found.extent_b.share for found in evidence.values()), default=0.0),
    )


def _consistency(alone: Sequence[Finding], renames: Sequence[Rename]) -> float:
    agreeing, contradicting, kept = _sites(alone, renames)
    return (agreeing + kept) / (agreeing + contradicting + kept) if agreeing + contradicting else 1.0


def _sites(alone: Sequence[Finding], renames: Sequence[Rename]) -> tuple[int, int, int]:
    """Places of names that agree with the rename map, that contradict it, and that keep their name.

    A fork keeps nearly all names; without these, one class that became two would outweigh everything.
    """
    changed = [rename for rename in renames if rename.a != rename.b]
    code = (finding for finding in alone if finding.kind == "code")
    return (
        sum(rename.agreeing for rename in changed),
        sum(rename.contradicting for rename in changed),
        int(_places(code, "names_kept")),
    )


def _sentence(verdict: Strength, count: int, shares: tuple[float, float]) -> str:
    if verdict == "none":
        return "No evidence of common origin was found."
    found = _findings(count, "independent ")
    if any(shares):
        found += f", covering {wording.share(shares[0])} of A's code and {wording.share(shares[1])} of B's"
    return f"{verdict.capitalize()} evidence of common origin: {found}."


def _findings(count: int, what: str = "") -> str:
    return f"{count:,} {what}finding{'' if count == 1 else 's'}"


def _rests_on(
    alone: Sequence[Finding],
    weight: Weight,
    shares: tuple[float, float],
    renames: Sequence[Rename],
    expected: float | None,
) -> Iterable[str]:
    if not alone:
        return
    best = alone[0]
    law = f", E = {wording.e_value(best.e_value)}" if best.e_value is not None else ""
    yield f"{_findings(len(alone), 'independent ')} that nothing explains, {weight.strong:,} of them strong"
    yield f"the strongest: {best.title} ({wording.bits(best.bits)} bits{law})"
    if any(shares):
        covered = [wording.share(share) for share in shares]
        yield f"they cover {covered[0]} of the information in A's code and {covered[1]} of that in B's"
    if expected is not None:
        yield f"{expected:.2g} findings would be expected by coincidence in a comparison of this size"
    if weight.formed:
        yield (
            f"{_findings(weight.formed)} of moderate strength or more between files whose statements "
            "read the same but for names"
        )
    if weight.linked >= _NEAR:
        yield (
            f"both sides hold nearly the same numbers: 2^{weight.linked:.0f} times likelier in a copy than "
            "in the work of another hand"
        )
    if convergent := _convergent(alone):
        yield (
            f"{_findings(convergent)} in which the names agree and the text does not, as where two hands, "
            "or one language model twice, write the same: however much they hold, they are weak"
        )
    if apart := sum(finding.details.get(APART) is True for finding in alone):
        yield (
            f"{_findings(apart)} in another text, between sides that choose other numbers, as where two "
            "hands write the same: however much they hold, they are weak"
        )
    if over := sum(finding.details.get(WORKED_OVER) is True for finding in alone):
        yield (
            f"{_findings(over)} that would pass for another hand's work, between sides that have more in "
            "common than two hands at one page: they count"
        )
    kinds = sorted(map(wording.kind_label, _kinds(_heavy(_telling(alone)))))
    if len(kinds) > 1:
        yield f"{len(kinds)} kinds of evidence agree: {', '.join(kinds)}"
    agreeing, contradicting, kept = _sites(alone, renames)
    if agreeing:
        yield (
            f"one renaming: {agreeing:,} places agree with it, {contradicting:,} contradict it, "
            f"and {kept:,} keep their name"
        )


def _missing(evidence: Mapping[str, Evidence]) -> Iterable[str]:
    """Evidence that is not there, and that could change the verdict."""
    if stopped := [wording.kind_label(name) for name, found in evidence.items() if found.stopped]:
        yield f"the evidence that is missing: {', '.join(stopped)} stopped on an error (-v shows it)"
    if "leftovers" not in evidence and any(found.link is not None for found in evidence.values()):
        yield "the leftovers, which were not compared: they tell another hand's work by its numbers"


def _would_change(
    verdict: Strength, weight: Weight, apart: int, missing: Iterable[str], warnings: Sequence[Notice]
) -> Iterable[str]:
    yield from missing
    if verdict == "none":
        yield "a copy of ideas alone, or a rewrite from scratch, leaves no evidence of this kind"
    else:
        yield "a source that both sides build on: give it as upstream, and what it accounts for is set apart"
        yield "the same authors on both sides, or a licence that allows it: origin is judged here, not right"
    if apart:
        yield f"{_findings(apart)} set apart: an upstream or common public code accounts for them"
    if lacking := _lacking(verdict, weight):
        yield lacking
    if warnings:
        yield f"what could not be read or was left out (warnings: {len(warnings):,})"


_IN_WORDS = {
    "findings": ("independent findings", "{:,}"),
    "moderate": ("of moderate strength", "{:,}"),
    "strong": ("strong ones", "{:,}"),
    "formed": ("between files whose statements read the same but for names", "{:,}"),
    "linked": ("bits by which the numbers link both sides", "{:,.0f}"),
    "whole": ("very strong ones about a whole model", "{:,}"),
    "classes": ("kinds of evidence", "{:,}"),
    "bits": ("bits", "{:,.0f}"),
    "best": ("bits in one finding", "{:,.0f}"),
    "share": ("share of a side", "{:.0%}"),
    "both": ("share of either side", "{:.0%}"),
    "consistency": ("agreement with one renaming", "{:.0%}"),
}


def _lacking(verdict: Strength, weight: Weight) -> str:
    """What the first way to the next step asks for and the measurement does not reach."""
    if verdict == STRENGTHS[-1]:
        return ""
    following = STRENGTHS[scale_step(verdict) + 1]
    least = next(way for strength, way in WAYS if strength == following)
    asked = [
        f"{words} {form.format(getattr(least, name))} ({form.format(getattr(weight, name))} here)"
        for name, (words, form) in _IN_WORDS.items()
        if getattr(weight, name) < getattr(least, name)
    ]
    return f"the step {following!r} asks for more: {', '.join(asked)}"
