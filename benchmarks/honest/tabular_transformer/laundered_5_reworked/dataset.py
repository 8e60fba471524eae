import csv
from dataclasses import dataclass
from enum import Enum
from typing import List, Optional, Tuple

import numpy as np

NULL_VALUES = {"", "?", "na", "n/a", "nan", "none", "null", "-"}


class DataError(ValueError):
    pass


class Task(Enum):
    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


@dataclass(frozen=True)
class Columns:
    num_cols: Tuple[str, ...]
    cat_cols: Tuple[str, ...]
    target: str

    def __post_init__(self):
        names = self.all_names()
        if len(set(names)) != len(names):
            raise DataError(f"Duplicate columns in {names}")
        if len(names) < 2:
            raise DataError("No feature columns were given.")

    def all_names(self) -> List[str]:
        return [*self.num_cols, *self.cat_cols, self.target]


@dataclass
class Dataset:
    """Used both for the raw strings and for the encoded arrays."""
    x_num: np.ndarray
    x_cat: np.ndarray
    y: np.ndarray

    def __len__(self):
        return len(self.y)

    def subset(self, idx: np.ndarray) -> "Dataset":
        return Dataset(self.x_num[idx], self.x_cat[idx], self.y[idx])


def _strip_value(text: Optional[str]) -> Optional[str]:
    value = (text or "").strip()
    if value.lower() in NULL_VALUES:
        return None
    return value


def _to_float(text: Optional[str], column: str, line: int) -> float:
    value = _strip_value(text)
    if value is None:
        return float("nan")
    try:
        return float(value)
    except ValueError:
        raise DataError(f"could not parse '{value}' as a number (column {column}, line {line})") from None


def load_csv(path: str, columns: Columns, sep: str = ",") -> Dataset:
    x_num, x_cat, y = [], [], []
    with open(path, newline="", encoding="utf-8") as f:
        reader = csv.DictReader(f, delimiter=sep)
        header = reader.fieldnames or []
        missing = sorted(set(columns.all_names()) - set(header))
        if missing:
            raise DataError(f"Columns {missing} were not found in {path}")
        for row in reader:
            label = _strip_value(row[columns.target])
            if label is None:  # skip rows with no label
                continue
            y.append(label)
            x_cat.append([_strip_value(row[c]) for c in columns.cat_cols])
            nums = []
            for c in columns.num_cols:
                nums.append(_to_float(row[c], c, reader.line_num))
            x_num.append(nums)
    n = len(y)
    if n == 0:
        raise DataError(f"No rows with a label in {path}")
    return Dataset(
        np.array(x_num, dtype=np.float64).reshape(n, len(columns.num_cols)),
        np.array(x_cat, dtype=object).reshape(n, len(columns.cat_cols)),
        np.array(y, dtype=object),
    )


def train_val_test_split(data: Dataset, seed: int, val_ratio: float = 0.1,
                         test_ratio: float = 0.2) -> Tuple[Dataset, Dataset, Dataset]:
    if min(val_ratio, test_ratio) <= 0 or val_ratio + test_ratio >= 1:
        raise ValueError("Bad split ratios.")
    n = len(data)
    if n < 10:
        raise ValueError(f"Dataset is too small to split ({n} rows)")
    perm = np.random.default_rng(seed).permutation(n)
    n_test = max(1, int(n * test_ratio))
    n_val = max(1, int(n * val_ratio))
    test = data.subset(perm[:n_test])
    val = data.subset(perm[n_test:n_test + n_val])
    train = data.subset(perm[n_test + n_val:])
    return train, val, test
