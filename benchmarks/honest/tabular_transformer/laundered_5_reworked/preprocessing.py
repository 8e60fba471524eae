"""Scaling, category codes and label encoding."""
from typing import Dict, List

import numpy as np

from dataset import DataError, Dataset, Task


class RankScaler:
    def __init__(self, n_quantiles: int = 1000):
        self.n_quantiles = n_quantiles

    def fit(self, x):
        n = max(2, min(self.n_quantiles, len(x)))
        self.probs = np.linspace(0.0, 1.0, n)
        self.quantiles = np.quantile(x, self.probs, axis=0)
        return self

    def transform(self, x):
        out = np.empty_like(x)
        for j in range(x.shape[1]):
            q = self.quantiles[:, j]
            up = np.interp(x[:, j], q, self.probs)
            down = 1.0 - np.interp(-x[:, j], -q[::-1], self.probs)
            # mean of the two, rescaled to unit variance
            out[:, j] = (up + down - 1.0) * np.sqrt(3.0)
        return out


class ZScoreScaler:
    def fit(self, x):
        self.mean = x.mean(axis=0)
        std = x.std(axis=0)
        self.std = np.where(std < 1e-12, 1.0, std)
        return self

    def transform(self, x):
        return (x - self.mean) / self.std


class MinMaxScaler:
    def fit(self, x):
        self.low = x.min(axis=0)
        span = x.max(axis=0) - self.low
        self.span = np.where(span < 1e-12, 1.0, span)
        return self

    def transform(self, x):
        return 2.0 * (x - self.low) / self.span - 1.0


SCALERS = {"quantile": RankScaler, "standard": ZScoreScaler, "minmax": MinMaxScaler}


class LabelEncoder:
    def __init__(self, task: Task):
        self.task = task
        self.mean = 0.0
        self.std = 1.0
        self.classes: List[str] = []

    @property
    def n_outputs(self) -> int:
        if self.task is Task.MULTICLASS:
            return len(self.classes)
        return 1

    def fit(self, y: np.ndarray) -> "LabelEncoder":
        if self.task is Task.REGRESSION:
            values = y.astype(np.float64)
            self.mean = float(values.mean())
            self.std = float(values.std()) or 1.0
        else:
            self.classes = sorted(set(y))
            if self.task is Task.BINARY and len(self.classes) != 2:
                raise DataError(f"Expected 2 classes but got {len(self.classes)}: {self.classes}")
        return self

    def transform(self, y: np.ndarray) -> np.ndarray:
        if self.task is Task.REGRESSION:
            return (y.astype(np.float64) - self.mean) / self.std
        extra = sorted(set(y) - set(self.classes))
        if extra:
            raise DataError(f"Labels {extra} do not appear in the training split")
        lookup = {name: i for i, name in enumerate(self.classes)}
        return np.array([lookup[label] for label in y], dtype=np.int64)


class Preprocessor:

    def __init__(self, task: Task, scaler: str = "quantile"):
        if scaler not in SCALERS:
            raise ValueError(f"scaler must be one of {sorted(SCALERS)}, not {scaler}")
        self.scaler = SCALERS[scaler]()
        self.label_encoder = LabelEncoder(task)
        self.vocabs: List[Dict[str, int]] = []

    def _fill_missing(self, x: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(x), self.medians, x)

    def fit(self, train: Dataset) -> "Preprocessor":
        medians = []
        for col in train.x_num.T:
            known = col[~np.isnan(col)]
            medians.append(np.median(known) if len(known) else 0.0)
        self.medians = np.array(medians)
        self.scaler.fit(self._fill_missing(train.x_num))

        # 0 is kept for missing / unknown
        self.vocabs = []
        for col in train.x_cat.T:
            values = sorted(set(col) - {None})
            self.vocabs.append({v: i for i, v in enumerate(values, start=1)})
        self.label_encoder.fit(train.y)
        return self

    def transform(self, data: Dataset) -> Dataset:
        x_num = self.scaler.transform(self._fill_missing(data.x_num)).astype(np.float32)
        x_cat = np.zeros(data.x_cat.shape, dtype=np.int64)
        for j, vocab in enumerate(self.vocabs):
            x_cat[:, j] = [vocab.get(v, 0) for v in data.x_cat[:, j]]
        return Dataset(x_num, x_cat, self.label_encoder.transform(data.y))

    @property
    def cat_sizes(self) -> List[int]:
        return [len(vocab) + 1 for vocab in self.vocabs]
