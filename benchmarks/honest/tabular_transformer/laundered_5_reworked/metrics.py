from typing import Dict

import numpy as np
import torch
from torch.nn import functional as F

from dataset import Task


def roc_auc(scores: np.ndarray, y: np.ndarray) -> float:
    n_pos = int((y == 1).sum())
    n_neg = int((y == 0).sum())
    if n_pos == 0 or n_neg == 0:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2.0
    pos_ranks = ranks[inverse][y == 1].sum()
    return float((pos_ranks - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg))


def compute_loss(task: Task, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    if task is Task.REGRESSION:
        return F.mse_loss(outputs[:, 0], y.float())
    elif task is Task.BINARY:
        return F.binary_cross_entropy_with_logits(outputs[:, 0], y.float())
    return F.cross_entropy(outputs, y)


class Evaluator:
    def __init__(self, task: Task, y_std: float = 1.0):
        self.task = task
        self.y_std = y_std

    def score(self, metrics: Dict[str, float]) -> float:
        """Higher is better; used to pick the best epoch."""
        if self.task is Task.REGRESSION:
            return -metrics["rmse"]
        if self.task is Task.BINARY and not np.isnan(metrics["auc"]):
            return metrics["auc"]
        return metrics["accuracy"]

    def compute(self, outputs: np.ndarray, y: np.ndarray) -> Dict[str, float]:
        if self.task is Task.MULTICLASS:
            return {"accuracy": float(np.mean(outputs.argmax(axis=1) == y))}
        pred = outputs[:, 0]
        if self.task is Task.BINARY:
            acc = float(np.mean((pred > 0) == (y == 1)))
            return {"accuracy": acc, "auc": roc_auc(pred, y)}
        err = (pred - y) * self.y_std
        return {"rmse": float(np.sqrt(np.mean(err ** 2))), "mae": float(np.abs(err).mean())}
