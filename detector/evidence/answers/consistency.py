"""Agreement of two models beyond chance, with intervals and a permutation test; every number is repeatable.

Agreement is corrected for chance by Cohen's kappa (Cohen 1960). Error consistency is the kappa of being
right or wrong on the same questions (Geirhos, Meding and Wichmann 2020, "Beyond accuracy: quantifying
trial-by-trial behaviour of CNNs and humans by measuring error consistency"). Intervals are percentile
bootstrap intervals over questions, so that several noise levels of one question count as one observation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Codes = npt.NDArray[np.int64]
    Numbers = npt.NDArray[np.float64]

_SEED = 20200614
_DRAWS = 1000
"""resamples and shuffles; p-values below 1/1001 cannot be told apart"""
_WORK = 20_000_000
"""items times draws; fewer draws are made of very long files, but at least 200"""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Consistency:
    """Measures over items that both models answered.

    `agreement`: share of equal answers; `kappa`: the same beyond chance; `p_value`: of the permutation
    test. With a reference also `errors` (kappa of being wrong on the same questions), `same_wrong` (share
    of equal answers among those both got wrong), `both_wrong` (how many those are), and `chance_wrong` (the
    share that shuffling the wrong answers gives).
    """

    items: int
    options: int
    agreement: Estimate
    kappa: Estimate
    p_value: float
    both_wrong: int = 0
    errors: Estimate | None = None
    same_wrong: Estimate | None = None
    chance_wrong: float = 0.0


def measure(
    questions: Sequence[str], a: Sequence[str], b: Sequence[str], truth: Sequence[str] | None
) -> Consistency:
    """Measure normalised answers, item by item. `truth`: the right answers, where known."""
    import numpy as np  # noqa: PLC0415

    names = {name: code for code, name in enumerate(dict.fromkeys([*a, *b, *(truth or ())]))}
    one, other = (np.array([names[answer] for answer in side], dtype=np.int64) for side in (a, b))
    right = np.array([names[answer] for answer in truth], dtype=np.int64) if truth is not None else None
    groups = {name: code for code, name in enumerate(dict.fromkeys(questions))}
    cluster = np.array([groups[question] for question in questions], dtype=np.int64)
    draws = max(200, min(_DRAWS, _WORK // max(1, len(one))))
    boot = _Bootstrap(cluster, draws)
    same = (one == other).astype(np.float64)
    agreement = boot.interval(lambda weight: _mean(same, weight))
    kappa = boot.interval(lambda weight: _kappa(one, other, weight, len(names)))
    if right is None:
        p_value, _ = _permuted(one, other, draws)
        return Consistency(len(one), len(names), agreement, kappa, p_value)
    wrong_a, wrong_b = (one != right).astype(np.int64), (other != right).astype(np.int64)
    errors = boot.interval(lambda weight: _kappa(wrong_a, wrong_b, weight, 2))
    both = (wrong_a * wrong_b).astype(float)
    number = int(both.sum())
    if not number:
        return Consistency(len(one), len(names), agreement, kappa, 1.0, 0, errors)
    same_wrong = boot.interval(lambda weight: _mean(same, weight * both))
    chosen = both > 0
    p_value, chance = _permuted(one[chosen], other[chosen], draws)
    return Consistency(len(one), len(names), agreement, kappa, p_value, number, errors, same_wrong, chance)


def plain(a: Sequence[str], b: Sequence[str], truth: Sequence[str] | None) -> tuple[float, float | None]:
    """Share of equal answers, and of equal ones among those both got wrong; None where there are none."""
    same = [one == other for one, other in zip(a, b, strict=True)]
    wrong = [
        one == other
        for one, other, right in zip(a, b, truth or (), strict=False)
        if right not in (one, other)
    ]
    return sum(same) / len(same), sum(wrong) / len(wrong) if wrong else None


class _Bootstrap:
    """Weights of items under resampling of whole questions; the same resamples for every measure."""

    def __init__(self, cluster: Codes, draws: int) -> None:
        import numpy as np  # noqa: PLC0415

        random = np.random.default_rng(_SEED)
        clusters = int(cluster.max()) + 1
        self._cluster = cluster
        self._drawn = [
            # a question is never drawn 256 times; a byte each keeps a million of them small
            np.bincount(random.integers(0, clusters, clusters), minlength=clusters).astype(np.uint8)
            for _ in range(draws)
        ]

    def interval(self, statistic: Callable[[Any], float]) -> Estimate:
        """The statistic of the data, and the middle 95 % of it over resamples."""
        import numpy as np  # noqa: PLC0415

        values = (statistic(drawn[self._cluster].astype(float)) for drawn in self._drawn)
        # a resample without any shared mistake has no share of equal ones
        known = [value for value in values if not math.isnan(value)]
        whole = statistic(np.ones(len(self._cluster)))
        low, high = np.percentile(known, [2.5, 97.5]) if known else (whole, whole)
        return Estimate(whole, float(low), float(high))


def _mean(values: Numbers, weight: Numbers) -> float:
    total = float(weight.sum())
    return float((values * weight).sum()) / total if total else float("nan")


def _kappa(a: Codes, b: Codes, weight: Numbers, options: int) -> float:
    """Cohen's kappa; 0 where chance alone forces agreement (both always give one answer)."""
    import numpy as np  # noqa: PLC0415

    total = float(weight.sum())
    observed = float(weight[a == b].sum()) / total
    shares = (np.bincount(side, weights=weight, minlength=options) / total for side in (a, b))
    expected = float(np.prod(list(shares), axis=0).sum())
    return (observed - expected) / (1 - expected) if expected < 1 - 1e-12 else 0.0


def _permuted(a: Codes, b: Codes, draws: int) -> tuple[float, float]:
    """One-sided p-value of the number of equal answers when B's are shuffled over the items, and the mean
    share.
    """
    import numpy as np  # noqa: PLC0415

    random = np.random.default_rng(_SEED)
    observed = int((a == b).sum())
    counts = np.array([int((a == random.permutation(b)).sum()) for _ in range(draws)])
    return (1 + int((counts >= observed).sum())) / (1 + draws), float(counts.mean()) / len(a)
