"""Reads the table, cuts it by date and serves batches of windows as NumPy arrays."""
from __future__ import annotations

from pathlib import Path
from typing import Iterator, NamedTuple

import numpy as np


def parse_table(file: Path) -> tuple[np.ndarray, list[str]]:
    """First line: titles. First column: dates, ignored. Empty cells repeat the cell above."""
    with open(file) as fh:
        header = fh.readline().strip().split(",")[1:]
    data = np.genfromtxt(file, delimiter=",", skip_header=1, usecols=range(1, len(header) + 1), dtype=np.float64)
    data = data.reshape(-1, len(header))
    for j in range(data.shape[1]):
        series = data[:, j]
        empty = np.isnan(series)
        if empty.all():
            raise ValueError(f"{file}: nothing but empty cells under {header[j]}")
        source = np.maximum.accumulate(np.where(empty, 0, np.arange(series.shape[0])))
        series = series[source]
        series[np.isnan(series)] = series[~np.isnan(series)][0]
        data[:, j] = series
    return data, header


class SlidingWindows:
    """All (history, future) pairs of one part; each array is (steps, variables)."""

    def __init__(self, part: np.ndarray, history_len: int, future_len: int, hop: int = 1):
        self.part = np.asarray(part, dtype=np.float32)
        self.history_len = history_len
        self.future_len = future_len
        self.hop = hop
        if len(self) <= 0:
            raise ValueError(f"{len(part)} steps do not hold a history of {history_len} and a future of {future_len}")

    def __len__(self) -> int:
        return max(0, (len(self.part) - self.history_len - self.future_len) // self.hop + 1)

    def __getitem__(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        begin = k * self.hop
        now = begin + self.history_len
        return self.part[begin:now], self.part[now:now + self.future_len]


class BatchFeed:
    """Small stand-in for a data loader."""

    def __init__(self, windows: SlidingWindows, batch: int, rng: np.random.Generator | None = None,
                 drop_last: bool = False):
        self.windows, self.batch, self.rng, self.drop_last = windows, batch, rng, drop_last

    def __len__(self) -> int:
        full, rest = divmod(len(self.windows), self.batch)
        return full if self.drop_last or rest == 0 else full + 1

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        order = np.arange(len(self.windows))
        if self.rng is not None:
            self.rng.shuffle(order)
        for b in range(len(self)):
            chosen = [self.windows[k] for k in order[b * self.batch:(b + 1) * self.batch]]
            histories, futures = zip(*chosen)
            yield np.stack(histories), np.stack(futures)


class TableParts(NamedTuple):
    fit: SlidingWindows
    tune: SlidingWindows
    final: SlidingWindows
    header: list[str]
    mu: np.ndarray
    sigma: np.ndarray


def cut_table(file: Path, history_len: int, future_len: int,
              fractions: tuple[float, float] = (0.7, 0.1)) -> TableParts:
    """The mean and deviation come from the fit part only.

    The tune and final parts start one history early: the first step they
    predict is the first one that belongs to them.
    """
    data, header = parse_table(file)
    steps = len(data)
    fit_end, tune_end = int(steps * fractions[0]), int(steps * (fractions[0] + fractions[1]))
    if fit_end < history_len:
        raise ValueError(f"{file}: a history of {history_len} is longer than the {fit_end} steps of the fit part")
    mu, sigma = data[:fit_end].mean(axis=0), data[:fit_end].std(axis=0)
    sigma = np.where(sigma < 1e-8, 1.0, sigma)
    normed = (data - mu) / sigma
    pieces = normed[:fit_end], normed[fit_end - history_len:tune_end], normed[tune_end - history_len:]
    return TableParts(*(SlidingWindows(piece, history_len, future_len) for piece in pieces), header, mu, sigma)
