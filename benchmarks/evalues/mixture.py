"""The mixture that the law is made of, fitted by maximum likelihood."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
from numpy.typing import NDArray

from detector.match.chance import FITTED, Law, Tail

_START = (log(5e-5), log(0.2), log(2e-6), log(0.05))
"""logarithms of k and rate, of chance and of idiom"""


def mixture(scores: NDArray[np.float64], pairs: float) -> Law:
    """The law that makes these scores of unrelated units, out of so many pairs, most likely.

    Scores from `FITTED` on are taken for a Poisson process whose density is the law's. The few high ones
    settle how slowly idioms fall off, and a rate that is too high promises too little. So that rate is
    lowered by its standard error, rate / sqrt(number of idioms), and the rest is fitted again.
    """
    seen = scores[scores >= FITTED]
    first = _most_likely(seen, pairs, None)
    idioms = pairs * float(np.exp(first.idiom.nats(FITTED)))
    return _most_likely(seen, pairs, first.idiom.rate * (1 - 1 / sqrt(idioms)))


def _most_likely(seen: NDArray[np.float64], pairs: float, idiom_rate: float | None) -> Law:
    """The law of highest likelihood, with the idioms' rate free or given."""
    from scipy.optimize import minimize  # noqa: PLC0415  slow to import

    start = _START if idiom_rate is None else _START[:3]

    def law_at(logs: NDArray[np.float64]) -> Law:
        k, rate, idiom_k, *last = (exp(each) for each in logs)
        return Law(Tail(k, rate), Tail(idiom_k, last[0] if last else idiom_rate or 0.0))

    def surprise(logs: NDArray[np.float64]) -> float:
        law = law_at(logs)
        expected = pairs * float(np.exp(law.chance.nats(FITTED)) + np.exp(law.idiom.nats(FITTED)))
        density = sum(part.rate * np.exp(part.nats(seen)) for part in (law.chance, law.idiom))
        return expected - float(np.log(pairs * density).sum())

    found = minimize(
        surprise, start, method="Nelder-Mead", options={"maxiter": 20_000, "xatol": 1e-6, "fatol": 1e-8}
    )
    return law_at(found.x)
