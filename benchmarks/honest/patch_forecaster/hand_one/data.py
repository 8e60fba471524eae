"""CSV loading, chronological splits and sliding windows."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset


def read_csv(path: Path) -> tuple[np.ndarray, list[str]]:
    """Read a headed CSV whose first column is a time stamp; gaps are filled forwards."""
    with open(path) as f:
        names = f.readline().strip().split(",")[1:]
    values = np.genfromtxt(path, delimiter=",", skip_header=1, usecols=range(1, len(names) + 1), dtype=np.float64)
    values = values.reshape(-1, len(names))
    for col in values.T:
        missing = np.isnan(col)
        if missing.all():
            raise ValueError(f"{path}: a column has no numbers")
        last = np.maximum.accumulate(np.where(missing, 0, np.arange(len(col))))
        col[:] = col[last]
        col[np.isnan(col)] = col[~np.isnan(col)][0]
    return values, names


class WindowDataset(Dataset):
    """Pairs of (context, horizon) windows, each of shape (length, channels)."""

    def __init__(self, series: np.ndarray, context: int, horizon: int, stride: int = 1):
        self.series = torch.as_tensor(series, dtype=torch.float32)
        self.context, self.horizon, self.stride = context, horizon, stride
        if len(self) <= 0:
            raise ValueError(f"{len(series)} rows are too few for context {context} and horizon {horizon}")

    def __len__(self) -> int:
        return max(0, (len(self.series) - self.context - self.horizon) // self.stride + 1)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        start = i * self.stride
        middle = start + self.context
        return self.series[start:middle], self.series[middle:middle + self.horizon]


@dataclass
class Splits:
    train: WindowDataset
    val: WindowDataset
    test: WindowDataset
    names: list[str]
    mean: np.ndarray
    std: np.ndarray


def load_splits(path: Path, context: int, horizon: int, ratios: tuple[float, float] = (0.7, 0.1)) -> Splits:
    """Split by time and standardise with the statistics of the training part.

    Validation and test reach back by one context, so that their first target
    is the first row of their own part.
    """
    values, names = read_csv(path)
    n = len(values)
    a, b = int(n * ratios[0]), int(n * (ratios[0] + ratios[1]))
    if a < context:
        raise ValueError(f"{path}: the training part ({a} rows) is shorter than the context ({context})")
    mean, std = values[:a].mean(axis=0), values[:a].std(axis=0)
    std = np.where(std < 1e-8, 1.0, std)
    scaled = (values - mean) / std
    parts = scaled[:a], scaled[a - context:b], scaled[b - context:]
    return Splits(*(WindowDataset(p, context, horizon) for p in parts), names, mean, std)
