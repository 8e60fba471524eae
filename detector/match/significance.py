"""What a score means: the law of chance, and the highest E-value that is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.candidate.candidate import Candidates
from detector.match.chance import Common, Law


@dataclass(frozen=True, slots=True)
class Scored:
    """Candidate pairs and their scores."""

    pairs: Candidates
    scores: NDArray[np.float64]

    def from_score(self, least: float) -> dict[tuple[int, int], float]:
        """The pairs that score so high, in their order."""
        kept = self.scores >= least
        rows = zip(self.pairs.a[kept].tolist(), self.pairs.b[kept].tolist(), strict=True)
        return dict(zip(rows, self.scores[kept].tolist(), strict=True))


def _nothing(pairs: Candidates) -> NDArray[np.bool_]:
    return np.zeros(len(pairs), bool)


@dataclass(frozen=True, slots=True)
class Significance:
    """What scores are made from, the law of chance that they follow, and the highest E-value that is kept.

    `public` says of which pairs public code explains what they share: these lend no weight to others.
    """

    common: Common
    law: Law
    threshold: float
    public: Callable[[Candidates], NDArray[np.bool_]] = _nothing

    def scored(self, pairs: Candidates) -> Scored:
        """The scores of pairs."""
        return Scored(pairs, self.common.limited(pairs, self.law))

    def least(self, possible: float) -> float:
        """The score that is beyond coincidence where that many pairs were possible."""
        return self.law.least(self.threshold, possible)
