"""What the findings of one class weigh in the light of another's.

Code that two sides have in common under other names and in other text may have been taken and hidden, or
have been written by two hands from one page. Who hides what he took replaces names and text, and leaves the
numbers as they are; another hand chooses numbers of its own (docs/statistics.md). Where the trained model is
common to both sides, the second is no explanation: a page dictates neither weights nor tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from detector.evidence.finding import Evidence, Finding
from detector.match.convergence import USUAL, chose_apart

TRAINED = ("weights", "tokenizer", "behaviour")
"""classes that look at a trained model"""
APART = "numbers_apart"
"""the detail of a code finding that is graded weak since the numbers speak against a copy"""


def graded(evidence: Mapping[str, Evidence]) -> dict[str, Evidence]:
    """The same evidence, with code graded weak whose text was not kept, where the numbers of the two sides
    differ in all their code as well as in what matches, and no trained model shows a common origin.
    """
    links = [found.link for found in evidence.values() if found.link is not None]
    if not chose_apart(links) or _share_a_model(evidence):
        return dict(evidence)
    code = evidence["code"]
    return {**evidence, "code": replace(code, findings=tuple(map(_weaker, code.findings)))}


def _share_a_model(evidence: Mapping[str, Evidence]) -> bool:
    """Whether what was trained is strong evidence of common origin."""
    trained = (finding for kind in TRAINED if kind in evidence for finding in evidence[kind].findings)
    return any(found.strength in ("strong", "very strong") and not found.explained_by for found in trained)


def _weaker(finding: Finding) -> Finding:
    kept = finding.details.get("text_kept")
    if finding.strength in ("none", "weak") or (isinstance(kept, float) and kept >= USUAL):
        return finding
    return replace(
        finding,
        title=f"{finding.title}, in a text and with numbers of its own",
        strength="weak",
        details={**finding.details, APART: True},
    )
