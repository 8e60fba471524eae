"""Training losses and evaluation metrics."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F


def pinball(pred: torch.Tensor, target: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """Elementwise quantile loss; pred (..., Q), target (...), levels (Q,)."""
    diff = target.unsqueeze(-1) - pred
    return torch.maximum(levels * diff, (levels - 1) * diff)


def make_loss(kind: str, levels: torch.Tensor) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    if kind == "mse":
        return lambda pred, y: F.mse_loss(pred[..., 0], y)
    if kind == "mae":
        return lambda pred, y: F.l1_loss(pred[..., 0], y)
    if kind == "quantile":
        return lambda pred, y: pinball(pred, y, levels).mean()
    raise ValueError(f"unknown loss {kind!r}")


def mase_scale(train: np.ndarray, season: int) -> np.ndarray:
    """Per-channel mean absolute error of the seasonal-naive forecast on the training split."""
    return np.maximum(np.abs(train[season:] - train[:-season]).mean(axis=0), 1e-8)


class Metrics:
    """Accumulates over batches; the point forecast is the level closest to the median."""

    def __init__(self, levels: torch.Tensor, scale: np.ndarray):
        self.levels = levels
        self.scale = torch.as_tensor(scale, dtype=torch.float32, device=levels.device)
        self.median = int((levels - 0.5).abs().argmin())
        self.sq = self.abs = self.scaled = self.pin = self.target = 0.0
        self.count = 0

    def update(self, pred: torch.Tensor, y: torch.Tensor) -> None:
        err = y - pred[..., self.median]
        self.sq += err.square().sum().item()
        self.abs += err.abs().sum().item()
        self.scaled += (err.abs() / self.scale).sum().item()
        self.pin += 2 * pinball(pred, y, self.levels).mean(dim=-1).sum().item()
        self.target += y.abs().sum().item()
        self.count += y.numel()

    def compute(self) -> dict[str, float]:
        n = max(self.count, 1)
        return {"mse": self.sq / n, "mae": self.abs / n, "mase": self.scaled / n,
                "wql": self.pin / max(self.target, 1e-8)}
