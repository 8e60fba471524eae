"""Recall: which marked pairs the comparison of their two files reports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.copied.marks import Marked
from benchmarks.accuracy.library import THRESHOLD, compared, side
from detector.background import Background
from detector.candidate.candidate import Candidates
from detector.evidence.explanation import Explanations
from detector.fingerprint.fingerprint import Fingerprint
from detector.match.chance import Common, law, own_scores

SIZES = ((2, 3), (4, 5), (6, 10), (11, 20), (21, 10_000))
"""classes of size, in statements"""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a marked pair.

    `found`: a finding pairs the two units; `twin`: it pairs the copy with a unit that has the original's very
    terms. `significant`: the pair alone has E <= threshold in the
    comparison of the two files, `in_package`: in a comparison of the whole package with itself.
    `apart`: public code explains the finding. `whole` is the score of the copy with itself.
    """

    pair: Marked
    found: bool
    twin: bool
    apart: bool
    significant: bool
    in_package: bool
    score: float
    whole: float
    partner: str
    """the unit that the copy was paired with instead, or nothing"""


def results(pairs: Sequence[Marked], package_units: int) -> Iterator[Result]:
    """Compare each copying file with each file that it names, once."""
    by_files: dict[tuple[str, str], list[Marked]] = defaultdict(list)
    for pair in pairs:
        by_files[pair.copy.path, pair.original.path].append(pair)
    for (path, original), marked in sorted(by_files.items()):
        yield from _in_files(path, original, marked, float(package_units) ** 2)


def _in_files(path: str, original: str, marked: Sequence[Marked], package_pairs: float) -> Iterator[Result]:
    a, b = side(path), side(original)
    matches = compared(path, original).matches
    common = Common.of(a.bags, b.bags)
    explained = Explanations.of(common, (), Background.open()).of_matches(matches)
    found = {(match.a, match.b): bool(names) for match, names in zip(matches, explained, strict=True)}
    partners = {match.a: b.units[match.b] for match in reversed(matches)}
    whole = own_scores(a.bags)
    possible = float(len(a.units)) * len(b.units)
    places = [(pair.copy.row, pair.original.row) for pair in marked]
    scored = common.limited(Candidates.of(places), law())
    for pair, rows, score in zip(marked, places, scored.tolist(), strict=True):
        partner = partners.get(rows[0])
        yield Result(
            pair=pair,
            found=rows in found,
            twin=partner is not None and np.array_equal(_terms(partner), _terms(b.units[rows[1]])),
            apart=found.get(rows, False),
            significant=law().expected(score, possible) <= THRESHOLD,
            in_package=law().expected(score, package_pairs) <= THRESHOLD,
            score=score,
            whole=float(whole[rows[0]]),
            partner=partner.unit.name if partner else "",
        )


def _terms(unit: Fingerprint) -> NDArray[np.int64]:
    return np.unique(unit.terms)
