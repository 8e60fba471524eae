"""How good a table of logits is when some of the truth is missing (nan)."""

import numpy as np
import torch
from torch.nn import functional as F


def surprise(logits, truth):
    """Mean of log(1 + exp(z)) - y z over the known cells."""
    known = torch.isfinite(truth)
    cells = F.softplus(logits) - logits * torch.nan_to_num(truth)
    return (cells * known).sum() / known.sum().clamp(min=1)


def ordering(yes, no):
    """Share of (yes, no) pairs in the right order; a draw is half a pair."""
    if not (len(yes) and len(no)):
        return np.nan
    ladder = np.sort(no)
    beaten = np.searchsorted(ladder, yes, side="left")
    not_lost = np.searchsorted(ladder, yes, side="right")
    return (beaten + not_lost).mean() / (2 * len(no))


def report_card(logits, truth):
    """(mean of the defined orderings, all orderings)."""
    columns = zip(np.asarray(logits, dtype=np.float64).T, np.asarray(truth).T)
    marks = np.array([ordering(score[fact == 1], score[(fact != 1) & ~np.isnan(fact)]) for score, fact in columns])
    defined = marks[~np.isnan(marks)]
    return (defined.mean() if defined.size else np.nan), marks
