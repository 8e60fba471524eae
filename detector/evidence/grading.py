"""What the findings of one class weigh in the light of another's.

Code that two sides have in common may have been taken and hidden, or have been written by two hands from one
page. The latter explains what both name alike and write differently. It also explains what is written under
other names and in another text, between sides that choose other numbers: who hides what he took replaces
names and text, and leaves the numbers as they are (docs/statistics.md). Where the trained model is common to
both sides, it explains nothing: a page dictates neither weights nor tokens. Nor does it where one side still
refers to files of the other and both hold the same rare names: who knows the files did not find names again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from detector.evidence.finding import Evidence, Finding, Strength
from detector.match.convergence import USUAL, chose_apart, worked_over

TRAINED = ("weights", "tokenizer", "behaviour")
"""classes that look at a trained model"""
CONVERGENT = "convergent"
"""the detail of a code finding whose names agree by themselves"""
FORM = "form_kept"
"""the detail of a code finding between files whose statements read the same but for names"""
APART = "numbers_apart"
"""the detail of a code finding that is graded weak since the numbers speak against a copy"""
WORKED_OVER = "worked_over"
"""the detail of a code finding that looks like two hands' work, between sides that have too much in common"""
REFERS = "refers"
"""the detail of a leftovers finding: references that a program would follow into the other side's files"""
NAMES = "identifier"
"""the kind of the items of the leftovers finding of rare names"""
AGAIN = 22
"""rare names that nobody finds again: two hands at one page were seen to share 19, a copy's 25"""
LINKED = "link_bits"
"""log2 of how much likelier a copy is than another hand to leave the numbers of both sides"""
_STRONG: frozenset[Strength] = frozenset({"strong", "very strong"})
_SLIGHT: frozenset[Strength] = frozenset({"none", "weak"})


def graded(evidence: Mapping[str, Evidence]) -> dict[str, Evidence]:
    """The same evidence, with code graded weak that two hands may have written from one page."""
    if "code" not in evidence:
        return dict(evidence)
    code, apart = evidence["code"], _chose_apart(evidence)
    findings = [_by_two_hands(finding, apart) for finding in code.findings]
    if _share_a_model(evidence) or _knows_the_files(evidence):
        findings = [_taken(finding) for finding in code.findings]
    elif _worked_over(code):
        findings = [_marked(*pair) for pair in zip(code.findings, findings, strict=True)]
    return {**evidence, "code": replace(code, findings=tuple(findings))}


def _chose_apart(evidence: Mapping[str, Evidence]) -> bool:
    """Whether the numbers of the two sides are those of two hands, if they are known."""
    code = evidence["code"]
    everywhere = evidence["leftovers"].link if "leftovers" in evidence else None
    if everywhere is None or code.link is None:
        return False
    return chose_apart(everywhere, code.link, _in_common(code))


def _in_common(code: Evidence) -> float:
    return min(code.extent_a.share, code.extent_b.share)


def _share_a_model(evidence: Mapping[str, Evidence]) -> bool:
    """Whether what was trained is strong evidence of common origin."""
    trained = (finding for kind in TRAINED if kind in evidence for finding in evidence[kind].findings)
    return any(found.strength in _STRONG and not found.explained_by for found in trained)


def _knows_the_files(evidence: Mapping[str, Evidence]) -> bool:
    """Whether one side refers to files that only the other has, and many rare names stand on both."""
    left = evidence["leftovers"].findings if "leftovers" in evidence else ()
    return any(map(_refers, left)) and max(map(_rare_names, left)) >= AGAIN


def _refers(finding: Finding) -> bool:
    return bool(finding.details.get(REFERS))


def _rare_names(finding: Finding) -> int:
    """The number of rare names that a finding of weight lists, shown or not."""
    items, more = finding.details.get("items"), finding.details.get("more")
    if not isinstance(items, list) or finding.strength in _SLIGHT:
        return 0
    if not any(isinstance(item, list) and item[:1] == [NAMES] for item in items):
        return 0
    return len(items) + (more if isinstance(more, int) else 0)


def _worked_over(code: Evidence) -> bool:
    """Whether one side is the other's work in other words, by what nothing explains."""
    own = [finding for finding in code.findings if not finding.explained_by]
    places = ((a.name, b.name) for finding in own for a, b in zip(finding.a, finding.b, strict=False))
    names = [(a.rpartition(".")[2], b.rpartition(".")[2]) for a, b in places]
    return worked_over(_in_common(code), sum(finding.bits for finding in own), names)


def _taken(finding: Finding) -> Finding:
    """Names that agree were kept, and not found twice."""
    if not finding.details.get(CONVERGENT):
        return finding
    return replace(finding, details={**finding.details, CONVERGENT: False})


def _marked(finding: Finding, by_two: Finding) -> Finding:
    """The finding as it was, marked if it would pass for two hands' work by itself."""
    if finding == by_two:
        return finding
    return replace(finding, details={**finding.details, CONVERGENT: False, WORKED_OVER: True})


def _by_two_hands(finding: Finding, apart: bool) -> Finding:
    """The finding, graded weak if its names agree by themselves, or the numbers speak against a copy and
    neither its text nor its form was kept.
    """
    if finding.details.get(CONVERGENT):
        return _weak(finding, "under names that agree by themselves")
    text = finding.details.get("text_kept")
    kept = finding.details.get(FORM) or (isinstance(text, float) and text >= USUAL)
    if apart and not kept and finding.strength not in _SLIGHT:
        marked = replace(finding, details={**finding.details, APART: True})
        return _weak(marked, "in a text and with numbers of its own")
    return finding


def _weak(finding: Finding, why: str) -> Finding:
    strength: Strength = "none" if finding.strength == "none" else "weak"
    return replace(finding, title=f"{finding.title}, {why}", strength=strength)
