"""Typed containers for tabular data, CSV loading and three-way splitting."""
import csv
import enum
from typing import NamedTuple, Tuple

import numpy as np

NULL_TOKENS = {"none", "null", "nan", "n/a", "na", "?", ""}


class SchemaError(ValueError):
    """The file and the column layout contradict each other."""


class Objective(str, enum.Enum):
    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class Frame(NamedTuple):
    """Labels plus continuous and discrete features; used before and after encoding."""

    labels: np.ndarray
    cont: np.ndarray
    disc: np.ndarray

    def take(self, idx):
        return Frame(*(array[idx] for array in self))


class Layout:
    def __init__(self, label, cont=(), disc=()):
        self.label = label
        self.cont = tuple(cont)
        self.disc = tuple(disc)
        names = self.all_names()
        if len(names) == 1:
            raise SchemaError("At least one feature column is needed.")
        duplicates = {name for name in names if names.count(name) > 1}
        if duplicates:
            raise SchemaError(f"Columns listed repeatedly: {sorted(duplicates)}")

    def all_names(self):
        return [self.label, *self.cont, *self.disc]


def normalise_cell(cell):
    if cell is None:
        return None
    cell = cell.strip()
    if cell.lower() in NULL_TOKENS:
        return None
    return cell


def cell_to_float(cell, where):
    cell = normalise_cell(cell)
    try:
        return np.nan if cell is None else float(cell)
    except ValueError:
        raise SchemaError(f"{where}: cannot read '{cell}' as a number.") from None


def _check_columns(path, found, layout):
    missing = [name for name in sorted(layout.all_names()) if name not in found]
    if missing:
        raise SchemaError(f"Columns {missing} are not in {path}, which has {found}")


def _labelled_rows(path, layout, sep):
    """Yields (label, continuous cells, discrete cells), leaving out rows without a label."""
    with open(path, encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream, delimiter=sep)
        _check_columns(path, list(rows.fieldnames or ()), layout)
        for row in rows:
            label = normalise_cell(row[layout.label])
            if label is not None:
                cont = []
                for name in layout.cont:
                    cont.append(cell_to_float(row[name], f"Line {rows.line_num}, column '{name}'"))
                disc = []
                for name in layout.disc:
                    disc.append(normalise_cell(row[name]))
                yield label, cont, disc


def load_csv(layout, path, sep=","):
    rows = list(_labelled_rows(path, layout, sep))
    if len(rows) == 0:
        raise SchemaError(f"No row of {path} has a label.")
    labels, cont, disc = zip(*rows)
    return Frame(
        labels=np.asarray(labels, dtype=object),
        cont=np.asarray(cont, dtype=np.float64).reshape(len(rows), len(layout.cont)),
        disc=np.asarray(disc, dtype=object).reshape(len(rows), len(layout.disc)),
    )


def three_way_split(frame, seed, test_share=0.15, val_share=0.15) -> Tuple[Frame, Frame, Frame]:
    if test_share <= 0 or val_share <= 0 or test_share + val_share >= 1:
        raise ValueError("Shares have to be positive and sum to less than one.")
    total = frame.labels.shape[0]
    if total < 10:
        raise ValueError(f"{total} rows cannot be split into three parts.")
    n_test, n_val = (max(int(total * share), 1) for share in (test_share, val_share))
    shuffled = np.random.default_rng(seed).permutation(total)
    test_idx, val_idx, train_idx = np.split(shuffled, [n_test, n_test + n_val])
    return frame.take(train_idx), frame.take(val_idx), frame.take(test_idx)
