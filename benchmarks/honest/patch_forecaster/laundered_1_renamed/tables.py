"""From a table on disk to fitting, checking and final windows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset


def load_table(source: Path) -> tuple[np.ndarray, list[str]]:
    """Parse a comma-separated table with a title row and a leading date field.

    Holes take the most recent number before them.
    """
    with open(source) as handle:
        titles = handle.readline().strip().split(',')[1:]

    matrix = np.genfromtxt(
        source,
        delimiter=',',
        skip_header=1,
        usecols=range(1, len(titles) + 1),
        dtype=np.float64,
    )
    matrix = matrix.reshape(-1, len(titles))

    for sensor in matrix.T:
        holes = np.isnan(sensor)
        if holes.all():
            raise ValueError(f'{source}: found a field that is entirely empty')
        recent = np.maximum.accumulate(
            np.where(holes, 0, np.arange(len(sensor)))
        )
        sensor[:] = sensor[recent]
        sensor[np.isnan(sensor)] = sensor[~np.isnan(sensor)][0]

    return matrix, titles


class PastFutureWindows(Dataset):
    """Slices a long table into (past, future) examples laid out as (steps, sensors)."""

    def __init__(
        self,
        table: np.ndarray,
        lookback: int,
        lookahead: int,
        hop: int = 1,
    ):
        self.table = torch.as_tensor(table, dtype=torch.float32)
        self.lookback, self.lookahead, self.hop = lookback, lookahead, hop
        if len(self) <= 0:
            raise ValueError(
                f'cannot cut a lookback of {lookback} and a lookahead of '
                f'{lookahead} out of {len(table)} rows'
            )

    def __len__(self) -> int:
        return max(
            0,
            (len(self.table) - self.lookback - self.lookahead) // self.hop + 1,
        )

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        begin = position * self.hop
        now = begin + self.lookback
        return (
            self.table[begin:now],
            self.table[now:now + self.lookahead],
        )


@dataclass
class Partition:
    fitting: PastFutureWindows
    checking: PastFutureWindows
    final: PastFutureWindows
    titles: list[str]
    centre: np.ndarray
    spread: np.ndarray


def partition_table(
    source: Path,
    lookback: int,
    lookahead: int,
    shares: tuple[float, float] = (0.7, 0.1),
) -> Partition:
    """Cut the table along the time axis after z-scoring it with the fitting rows only.

    The later pieces borrow one lookback of rows from the piece before, which
    makes their very first own row a thing to be predicted.
    """
    matrix, titles = load_table(source)
    rows = len(matrix)
    cut1, cut2 = int(rows * shares[0]), int(rows * (shares[0] + shares[1]))
    if cut1 < lookback:
        raise ValueError(
            f'{source}: only {cut1} fitting rows for a lookback of {lookback}'
        )

    centre, spread = matrix[:cut1].mean(axis=0), matrix[:cut1].std(axis=0)
    spread = np.where(spread < 1e-8, 1.0, spread)
    zscores = (matrix - centre) / spread
    pieces = zscores[:cut1], zscores[cut1 - lookback:cut2], zscores[cut2 - lookback:]

    return Partition(
        *(PastFutureWindows(piece, lookback, lookahead) for piece in pieces),
        titles,
        centre,
        spread,
    )
