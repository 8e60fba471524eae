"""Training losses and evaluation metrics."""
from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader


def pinball(pred: Tensor, target: Tensor, quantiles: Tensor) -> Tensor:
    """Elementwise pinball loss; pred has a trailing quantile axis that target lacks."""
    error = target.unsqueeze(-1) - pred
    return torch.maximum(quantiles * error, (quantiles - 1) * error)


def training_loss(kind: str, pred: Tensor, target: Tensor, quantiles: Tensor) -> Tensor:
    if kind == "quantile":
        return pinball(pred, target, quantiles).mean()
    if kind == "mse":
        return F.mse_loss(pred[..., 0], target)
    if kind == "mae":
        return F.l1_loss(pred[..., 0], target)
    raise ValueError(f"unknown loss {kind!r}")


def mase_scale(train: np.ndarray, season: int) -> np.ndarray:
    """In-sample mean absolute error of the seasonal-naive forecast, per channel."""
    return np.maximum(np.abs(train[season:] - train[:-season]).mean(axis=0), 1e-8)


@torch.no_grad()
def evaluate(model: nn.Module, loader: DataLoader, quantiles: Tensor, scale: np.ndarray,
             device: torch.device) -> dict[str, float]:
    """MSE, MAE, MASE and weighted quantile loss over a whole data set.

    The point forecast is the quantile nearest to the median. For a point model, the single
    output stands for all quantiles, i.e. a degenerate predictive distribution.
    """
    model.eval()
    scale_t = torch.as_tensor(scale, dtype=torch.float32, device=device)
    quantiles = quantiles.to(device)
    median = int((quantiles - 0.5).abs().argmin())
    sums = dict.fromkeys(("se", "ae", "scaled", "target"), 0.0)
    quantile_sum = torch.zeros(len(quantiles), dtype=torch.float64)
    count = 0
    for context, target in loader:
        target = target.to(device)
        pred = model(context.to(device))
        point = pred[..., median if pred.shape[-1] > 1 else 0]
        error = point - target
        sums["se"] += error.square().sum().item()
        sums["ae"] += error.abs().sum().item()
        sums["scaled"] += (error.abs() / scale_t).sum().item()
        sums["target"] += target.abs().sum().item()
        quantile_sum += pinball(pred, target, quantiles).sum(dim=(0, 1, 2)).double().cpu()
        count += target.numel()
    wql = (2 * quantile_sum / max(sums["target"], 1e-8)).mean().item()
    return {"mse": sums["se"] / count, "mae": sums["ae"] / count,
            "mase": sums["scaled"] / count, "wql": wql}
