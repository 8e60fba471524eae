"""Turns a CSV file into data loaders."""
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset


def fill_holes(frame: pd.DataFrame, origin: Path) -> pd.DataFrame:
    """Carry the last reading forward; a hole at the very start takes the first reading instead."""
    if frame.isna().all(axis=0).any():
        raise ValueError(f"{origin} contains a column without a single number")
    return frame.ffill().bfill()


def load_frame(origin: Path) -> pd.DataFrame:
    raw = pd.read_csv(origin, index_col=0)
    numeric = raw.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    return fill_holes(numeric, origin)


class Segment(Dataset):
    """A stretch of rows, seen as overlapping (inputs, targets) pairs."""

    def __init__(self, n_in: int, n_out: int, rows: np.ndarray, every: int = 1):
        usable = len(rows) - (n_in + n_out)
        if usable < 0:
            raise ValueError(f"cannot fit {n_in} + {n_out} steps into {len(rows)} rows")
        self.rows = torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32))
        self.sizes = [n_in, n_out]
        self.offsets = range(0, usable + 1, every)

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, k: int) -> Tuple[torch.Tensor, ...]:
        window = self.rows.narrow(0, self.offsets[k], sum(self.sizes))
        return torch.split(window, self.sizes)


class Scaling(NamedTuple):
    centre: np.ndarray
    width: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> "Scaling":
        width = np.std(rows, axis=0)
        width[width < 1e-8] = 1.0
        return cls(np.mean(rows, axis=0), width)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        return np.divide(np.subtract(rows, self.centre), self.width)


class Prepared(NamedTuple):
    columns: List[str]
    scaling: Scaling
    segments: Dict[str, Segment]

    def loader(self, part: str, batch: int) -> DataLoader:
        segment = self.segments[part]
        if part != "fit":
            return DataLoader(segment, batch_size=batch)
        return DataLoader(segment, batch_size=batch, shuffle=True, drop_last=batch < len(segment))

    def seasonal_error(self, period: int) -> torch.Tensor:
        """What the naive seasonal rule gets wrong on the fitting rows, per column."""
        rows = self.segments["fit"].rows
        return (rows[period:] - rows[:-period]).abs().mean(dim=0).clamp(min=1e-8)


def prepare(origin: Path, n_in: int, n_out: int, fit_share: float = 0.7, tune_share: float = 0.1) -> Prepared:
    frame = load_frame(origin)
    total = len(frame)
    tune_from = int(fit_share * total)
    hold_from = int((fit_share + tune_share) * total)
    if n_in > tune_from:
        raise ValueError(f"{origin}: {n_in} input steps do not fit into the {tune_from} rows for fitting")

    table = frame.to_numpy()
    scaling = Scaling.of(table[:tune_from])
    table = scaling(table)
    # later parts begin n_in rows early, so that every one of their own rows is a target
    bounds = {"fit": (0, tune_from), "tune": (tune_from - n_in, hold_from), "hold": (hold_from - n_in, total)}
    segments = {part: Segment(n_in, n_out, table[lo:hi]) for part, (lo, hi) in bounds.items()}
    return Prepared(list(frame.columns), scaling, segments)
