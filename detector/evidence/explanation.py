"""What accounts for a match other than one side's having it from the other: upstreams and public code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.background import Background
from detector.candidate.bag import Bags
from detector.candidate.candidate import Candidates, joined
from detector.match.chance import Common
from detector.match.correspondence import Match

_COVERS = 0.75
"""part of a match's score that an upstream's unit must hold as well to account for it"""
_NAMED = 6


@dataclass(frozen=True, slots=True)
class Explanations:
    """Upstreams (label and bags) and the background's commons, to be asked about matches."""

    common: Common
    upstreams: Sequence[tuple[str, Bags]]
    background: Background
    kin: frozenset[str]

    @classmethod
    def of(
        cls, common: Common, upstreams: Sequence[tuple[str, Bags]], background: Background
    ) -> Explanations:
        """Packages that are one of the sides, or were forked into it, are kin: they bear no witness."""
        kin = {package for side in (common.a, common.b) for package in background.commons.kin(side.terms)}
        return cls(common, upstreams, background, frozenset(kin))

    def of_matches(self, matches: Sequence[Match]) -> list[tuple[str, ...]]:
        """For each match the names of what explains it; empty where nothing does."""
        return self.of_pairs(Candidates.of((match.a, match.b) for match in matches))

    def public(self, pairs: Candidates) -> NDArray[np.bool_]:
        """Which pairs of units something explains."""
        return np.array([bool(names) for names in self.of_pairs(pairs)], dtype=bool)

    def of_pairs(self, pairs: Candidates) -> list[tuple[str, ...]]:
        """The same for pairs of units."""
        shared = self.common.shared(pairs)
        public = self.background.commons.explain([terms for terms, _ in shared], self.kin)
        found = []
        holders = [(label, side, _holders(self.common.a, side)) for label, side in self.upstreams]
        for unit, common, explanations in zip(pairs.a.tolist(), shared, public, strict=True):
            names = [label for label, side, rows in holders if _covered(*common, side, rows.get(unit, ()))]
            for explanation in explanations:
                names += [package for package in explanation.packages if package not in names]
            found.append(tuple(names[:_NAMED]))
        return found


def _covered(
    terms: NDArray[np.uint64], gains: NDArray[np.float64], upstream: Bags, rows: Sequence[int]
) -> bool:
    """Does one of some units of the upstream hold nearly all that a match shares?"""
    least = _COVERS * float(gains.sum())
    return any(float(gains[np.isin(terms, upstream.of(row)[0])].sum()) >= least for row in rows)


def _holders(a: Bags, upstream: Bags) -> dict[int, list[int]]:
    """For each unit of A the upstream's units that share rare terms with it."""
    pairs = joined(a, upstream)
    rows: dict[int, list[int]] = {}
    for unit, other in zip(pairs.a.tolist(), pairs.b.tolist(), strict=True):
        rows.setdefault(unit, []).append(other)
    return rows
