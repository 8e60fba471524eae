"""Turn trial outcomes into EER and normalised minimum detection cost."""
from typing import NamedTuple, Sequence

import numpy as np


class OperatingPoints(NamedTuple):
    miss: np.ndarray
    alarm: np.ndarray


def operating_points(outcomes: Sequence[int], similarity: Sequence[float]) -> OperatingPoints:
    """One point below, between and above the distinct similarity values."""
    values, bucket = np.unique(np.asarray(similarity), return_inverse=True)
    same = (np.asarray(outcomes) == 1).astype(int)
    # column 0 counts different-person trials per value, column 1 same-person trials
    tally = np.zeros((values.size + 1, 2))
    np.add.at(tally, (bucket.ravel() + 1, same), 1)
    totals = tally.sum(axis=0)
    if not totals.all():
        raise ValueError("the trial list has only one kind of trial")
    below = tally.cumsum(axis=0) / totals
    return OperatingPoints(miss=below[:, 1], alarm=1 - below[:, 0])


def eer(points: OperatingPoints) -> float:
    # miss - alarm is strictly increasing, so its zero can be looked up directly
    return float(np.interp(0.0, points.miss - points.alarm, points.miss))


def normalised_cost(points: OperatingPoints, prior=0.01, price_miss=1.0, price_alarm=1.0) -> float:
    prices = np.array([price_miss * prior, price_alarm * (1 - prior)])
    return float((np.stack(points, axis=1) @ prices).min() / prices.min())
