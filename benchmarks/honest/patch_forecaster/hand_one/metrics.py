"""Training losses and accumulated evaluation metrics."""
from __future__ import annotations

from typing import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader


def pinball(pred: Tensor, target: Tensor, quantiles: Tensor) -> Tensor:
    """Elementwise pinball loss; pred has a trailing quantile axis, target has not."""
    diff = target.unsqueeze(-1) - pred
    return torch.maximum(quantiles * diff, (quantiles - 1) * diff)


def make_loss(name: str, quantiles: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    if name == "mse":
        return lambda pred, y: (pred[..., 0] - y).pow(2).mean()
    if name == "mae":
        return lambda pred, y: (pred[..., 0] - y).abs().mean()
    if name == "quantile":
        return lambda pred, y: pinball(pred, y, quantiles).mean()
    raise ValueError(f"unknown loss {name!r}")


def naive_scale(train: np.ndarray, season: int) -> Tensor:
    """Mean absolute seasonal difference of each training channel, the denominator of MASE."""
    scale = np.abs(train[season:] - train[:-season]).mean(axis=0)
    return torch.as_tensor(np.maximum(scale, 1e-8), dtype=torch.float32)


@torch.no_grad()
def evaluate(model: nn.Module, loader: DataLoader, quantiles: Tensor, scale: Tensor, device: str) -> dict[str, float]:
    """MSE, MAE and MASE of the median (or point) forecast, and weighted quantile loss.

    For a point forecast `quantiles` is [0.5], where the weighted quantile loss
    equals the sum of absolute errors over the sum of absolute targets.
    """
    model.eval()
    middle = int((quantiles - 0.5).abs().argmin())
    scale = scale.to(device)
    squared = absolute = scaled = weight = 0.0
    count = 0
    quantile_sum = torch.zeros(len(quantiles), dtype=torch.float64)
    for x, y in loader:
        x, y = x.to(device), y.to(device)
        pred = model(x)
        error = pred[..., middle] - y
        squared += error.pow(2).sum().item()
        absolute += error.abs().sum().item()
        scaled += (error.abs() / scale).sum().item()
        weight += y.abs().sum().item()
        quantile_sum += pinball(pred, y, quantiles).sum(dim=(0, 1, 2)).double().cpu()
        count += y.numel()
    return {
        "mse": squared / count,
        "mae": absolute / count,
        "mase": scaled / count,
        "wql": (2 * quantile_sum / max(weight, 1e-8)).mean().item(),
    }
