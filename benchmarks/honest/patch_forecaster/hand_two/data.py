"""CSV loading, chronological split, standardisation and sliding windows."""
from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset


def read_csv(path: str | Path, columns: list[str] | None = None) -> tuple[np.ndarray, list[str]]:
    """Read the numeric columns of a CSV file with a header; returns (time, channels) and names.

    Without an explicit selection, the columns whose first value is a number are used. Missing
    values are filled forward, then backward.
    """
    with open(path, newline="") as f:
        reader = csv.reader(f)
        header = next(reader)
        rows = [row for row in reader if row]
    names = columns or [name for i, name in enumerate(header) if _to_float(rows[0][i]) is not None]
    where = [header.index(name) for name in names]
    values = np.array([[_to_float(row[i]) for i in where] for row in rows], dtype=np.float64)
    return fill_missing(values).astype(np.float32), names


def _to_float(text: str) -> float | None:
    text = text.strip()
    if text == "":
        return float("nan")
    try:
        return float(text)
    except ValueError:
        return None


def fill_missing(values: np.ndarray) -> np.ndarray:
    for pass_ in (values, values[::-1]):  # the second is a view, filling backward in time
        for t in range(1, len(pass_)):
            gap = np.isnan(pass_[t])
            pass_[t, gap] = pass_[t - 1, gap]
    return values


class WindowDataset(Dataset):
    """Pairs (context, future) of shapes (context, channels) and (horizon, channels)."""

    def __init__(self, values: np.ndarray, context: int, horizon: int):
        self.values = torch.from_numpy(np.ascontiguousarray(values))
        self.context, self.horizon = context, horizon
        if len(self) <= 0:
            raise ValueError(f"{len(values)} rows are too few for {context} + {horizon} steps")

    def __len__(self) -> int:
        return max(0, len(self.values) - self.context - self.horizon + 1)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        middle = i + self.context
        return self.values[i:middle], self.values[middle:middle + self.horizon]


@dataclass
class Splits:
    train: WindowDataset
    val: WindowDataset
    test: WindowDataset
    train_values: np.ndarray  # standardised, for the MASE scale
    mean: np.ndarray
    std: np.ndarray
    names: list[str]


def load_splits(path: str | Path, context: int, horizon: int, fractions=(0.7, 0.1),
                columns: list[str] | None = None) -> Splits:
    """Split in time order; the scaler sees the training part only."""
    values, names = read_csv(path, columns)
    n_train = int(len(values) * fractions[0])
    n_val = int(len(values) * fractions[1])
    mean = values[:n_train].mean(axis=0)
    std = values[:n_train].std(axis=0)
    std[std < 1e-8] = 1.0
    values = (values - mean) / std
    # Validation and test windows may look back into the previous part for their context.
    val = values[n_train - context:n_train + n_val]
    test = values[n_train + n_val - context:]
    return Splits(WindowDataset(values[:n_train], context, horizon),
                  WindowDataset(val, context, horizon), WindowDataset(test, context, horizon),
                  values[:n_train], mean, std, names)
