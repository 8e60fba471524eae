"""Loss and score for labels with gaps."""

import numpy as np
import torch
from torch.nn import functional as F


def bce_with_gaps(logits, y):
    mask = torch.logical_not(torch.isnan(y))
    if mask.sum() > 0:
        return F.binary_cross_entropy_with_logits(torch.masked_select(logits, mask), torch.masked_select(y, mask))
    return logits.sum() * 0.0


def average_ranks(values):
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    first = last - counts + 1
    return ((first + last) / 2)[inverse]


def roc_auc(y, scores):
    is_positive = y == 1
    num_positive = is_positive.sum()
    num_pairs = num_positive * (y.size - num_positive)
    if num_pairs == 0:
        return float("nan")
    rank_sum = average_ranks(scores)[is_positive].sum()
    return float((rank_sum - num_positive * (num_positive + 1) / 2) / num_pairs)


def summarize(logits, y):
    """Loss, mean area and the area of every task."""
    scores, truth = logits.double().numpy(), y.numpy()
    per_task = []
    for task in range(truth.shape[1]):
        present = ~np.isnan(truth[:, task])
        per_task.append(roc_auc(truth[present, task], scores[present, task]))
    valid = [area for area in per_task if area == area]
    mean = sum(valid) / len(valid) if valid else float("nan")
    return {"loss": bce_with_gaps(logits, y).item(), "auc": mean, "per_task": np.array(per_task)}
