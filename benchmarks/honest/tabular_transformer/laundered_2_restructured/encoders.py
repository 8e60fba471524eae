"""Scaling of continuous columns, coding of discrete ones, and encoding of labels."""
import numpy as np

from frames import Frame, Objective, SchemaError


def fit_standard(matrix):
    """Returns a function that centres and rescales with the statistics of `matrix`."""
    center, spread = np.mean(matrix, axis=0), np.std(matrix, axis=0)
    spread[spread < 1e-12] = 1.0

    def apply(other):
        return (other - center) / spread

    return apply


def _mid_rank(column, knots, grid):
    # Ties land in the centre of their step because both directions are averaged.
    upward = np.interp(column, knots, grid)
    downward = np.interp(-column, np.flip(-knots), grid)
    return upward - downward


def fit_quantile(matrix, max_bins=500):
    """Returns a function that maps columns to ranks, spread over [-sqrt 3, sqrt 3]."""
    n_bins = min(max_bins, matrix.shape[0])
    grid = np.linspace(0.0, 1.0, n_bins if n_bins > 2 else 2)
    knots = np.quantile(matrix, grid, axis=0)

    def apply(other):
        out = np.empty_like(other)
        for j, (column, column_knots) in enumerate(zip(other.T, knots.T)):
            out[:, j] = _mid_rank(column, column_knots, grid)
        return out * 3.0 ** 0.5

    return apply


SCALERS = dict(quantile=fit_quantile, standard=fit_standard)


class LabelCodec:
    def __init__(self, objective):
        self.objective = objective
        self.classes = []
        self.shift = 0.0
        self.scale = 1.0

    @property
    def n_outputs(self):
        if self.objective == Objective.MULTICLASS:
            return len(self.classes)
        return 1

    def learn(self, labels):
        if self.objective == Objective.REGRESSION:
            as_float = labels.astype(float)
            self.shift = float(np.mean(as_float))
            self.scale = float(np.std(as_float))
            if self.scale == 0:
                self.scale = 1.0
        else:
            self.classes = sorted({*labels})
            if len(self.classes) != 2 and self.objective == Objective.BINARY:
                raise SchemaError(f"Binary objective with classes {self.classes}; two are required")

    def encode(self, labels):
        if self.objective == Objective.REGRESSION:
            return (labels.astype(float) - self.shift) / self.scale
        lookup = dict(zip(self.classes, range(len(self.classes))))
        strangers = {label for label in labels if label not in lookup}
        if strangers:
            raise SchemaError(f"Labels absent from the training part: {sorted(strangers)}")
        return np.fromiter((lookup[label] for label in labels), dtype=np.int64, count=len(labels))


class FrameEncoder:
    """Learns from the training part alone. Discrete code 0 stands for missing and unknown values."""

    def __init__(self, train, objective, scaler="quantile"):
        if scaler not in SCALERS:
            raise ValueError(f"No scaler called '{scaler}'; known: {sorted(SCALERS)}")
        self.codec = LabelCodec(objective)
        self.codec.learn(train.labels)
        self._learn_fill_values(train.cont)
        self._learn_codes(train.disc)
        self._scale = SCALERS[scaler](self._fill(train.cont))

    def _learn_fill_values(self, cont):
        self._fill_values = np.zeros(cont.shape[1])
        for j in range(cont.shape[1]):
            present = cont[~np.isnan(cont[:, j]), j]
            if present.size:
                self._fill_values[j] = np.median(present)

    def _learn_codes(self, disc):
        self._codes = []
        for j in range(disc.shape[1]):
            values = sorted({value for value in disc[:, j] if value is not None})
            self._codes.append(dict(zip(values, range(1, len(values) + 1))))
        self.n_categories = [1 + len(codes) for codes in self._codes]

    def _fill(self, cont):
        filled = cont.copy()
        rows, columns = np.nonzero(np.isnan(filled))
        filled[rows, columns] = self._fill_values[columns]
        return filled

    def __call__(self, frame):
        disc = np.zeros(frame.disc.shape, dtype=np.int64)
        for j, codes in enumerate(self._codes):
            for i, value in enumerate(frame.disc[:, j]):
                disc[i, j] = codes.get(value, 0)
        cont = self._scale(self._fill(frame.cont))
        return Frame(labels=self.codec.encode(frame.labels), cont=cont.astype(np.float32), disc=disc)
