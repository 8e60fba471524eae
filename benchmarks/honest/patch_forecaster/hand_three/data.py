"""CSV loading, chronological split, standardisation and sliding windows."""
from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset


def read_csv(path: Path, date_column: str = "date", columns: list[str] | None = None) -> tuple[np.ndarray, list[str]]:
    """Return values (time, channels) and channel names; gaps are filled with the last value."""
    with open(path, newline="") as f:
        reader = csv.DictReader(f)
        names = columns or [c for c in reader.fieldnames or [] if c != date_column]
        rows = [[float(row[c]) if row[c] not in ("", None) else np.nan for c in names] for row in reader]
    values = np.asarray(rows, dtype=np.float64)
    for t in range(1, len(values)):
        gap = np.isnan(values[t])
        values[t, gap] = values[t - 1, gap]
    return np.nan_to_num(values), names


@dataclass
class Standardizer:
    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray) -> "Standardizer":
        std = x.std(axis=0)
        return cls(x.mean(axis=0), np.where(std < 1e-8, 1.0, std))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return (x - self.mean) / self.std


class Windows(Dataset):
    def __init__(self, series: np.ndarray, context: int, horizon: int, stride: int = 1):
        self.series = torch.as_tensor(series, dtype=torch.float32)
        self.context, self.horizon, self.stride = context, horizon, stride
        self.count = (len(series) - context - horizon) // stride + 1
        if self.count < 1:
            raise ValueError(f"series of length {len(series)} is too short for {context}+{horizon}")

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        start = i * self.stride
        mid = start + self.context
        return self.series[start:mid], self.series[mid:mid + self.horizon]


@dataclass
class Splits:
    train: Windows
    val: Windows
    test: Windows
    train_series: np.ndarray  # standardised, for the MASE scale
    names: list[str]


def load_splits(path: Path, context: int, horizon: int, ratios: tuple[float, float] = (0.7, 0.1),
                date_column: str = "date") -> Splits:
    values, names = read_csv(path, date_column)
    n = len(values)
    train_end = int(n * ratios[0])
    val_end = int(n * (ratios[0] + ratios[1]))
    values = Standardizer.fit(values[:train_end])(values)
    # Validation and test may look back into the previous split for their context only.
    return Splits(
        train=Windows(values[:train_end], context, horizon),
        val=Windows(values[train_end - context:val_end], context, horizon),
        test=Windows(values[val_end - context:], context, horizon),
        train_series=values[:train_end],
        names=names,
    )
