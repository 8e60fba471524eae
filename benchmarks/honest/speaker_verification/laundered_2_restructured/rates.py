"""Verification error measures."""
import numpy as np


class ErrorRates:
    """Holds the two error rates at every usable threshold and derives single figures."""

    def __init__(self, labels, scores):
        scores = np.asarray(scores)
        order = scores.argsort(kind="stable")
        scores = scores[order]
        genuine = np.asarray(labels)[order] == 1
        foreign = np.logical_not(genuine)
        if not genuine.any() or not foreign.any():
            raise ValueError("trials of both kinds are needed")
        # thresholds are only possible where the score changes
        usable = np.ones(len(scores) + 1, dtype=bool)
        usable[1:-1] = scores[1:] > scores[:-1]
        self.false_reject = self._share_below(genuine)[usable]
        self.false_accept = (1 - self._share_below(foreign))[usable]

    @staticmethod
    def _share_below(mask):
        return np.append(0, mask.cumsum()) / mask.sum()

    def equal(self):
        difference = self.false_reject - self.false_accept
        after = np.flatnonzero(difference >= 0)[0]
        before = after - 1
        part = difference[before] / (difference[before] - difference[after])
        low, high = self.false_reject[before], self.false_reject[after]
        return float(low + (high - low) * part)

    def detection_cost(self, prior=0.01, accept_cost=1.0, reject_cost=1.0):
        accept_weight = (1 - prior) * accept_cost
        reject_weight = prior * reject_cost
        cheapest = np.min(self.false_accept * accept_weight + self.false_reject * reject_weight)
        return float(cheapest / min(accept_weight, reject_weight))
