"""Reading CSV files and turning them into numeric arrays a model can consume."""
import csv
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import Dict, List, Optional, Tuple

import numpy as np

MISSING_MARKERS = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})


class TaskType(Enum):
    REGRESSION = "regression"
    BINARY = "binary"
    MULTICLASS = "multiclass"


class TableFormatError(ValueError):
    """Raised when the input file does not agree with the declared schema."""


@dataclass(frozen=True)
class TableSchema:
    numerical_columns: Tuple[str, ...]
    categorical_columns: Tuple[str, ...]
    target_column: str

    def __post_init__(self):
        declared = [*self.numerical_columns, *self.categorical_columns, self.target_column]
        if len(declared) < 2:
            raise TableFormatError("The schema needs at least one feature column.")
        if len(set(declared)) != len(declared):
            raise TableFormatError(f"A column is declared more than once: {declared}")


@dataclass
class RawTable:
    numerical: np.ndarray
    categorical: np.ndarray
    target: np.ndarray

    def select_rows(self, rows: np.ndarray) -> "RawTable":
        return RawTable(self.numerical[rows], self.categorical[rows], self.target[rows])


@dataclass
class EncodedTable:
    numerical: np.ndarray
    categorical: np.ndarray
    target: np.ndarray


class CsvTableReader:
    def __init__(self, schema: TableSchema, delimiter: str = ","):
        self._schema = schema
        self._delimiter = delimiter

    def read(self, file_path: str) -> RawTable:
        numerical, categorical, target = [], [], []
        with open(file_path, newline="", encoding="utf-8") as handle:
            reader = csv.DictReader(handle, delimiter=self._delimiter)
            self._verify_header(file_path, reader.fieldnames or [])
            for record in reader:
                label = self._clean(record[self._schema.target_column])
                if label is None:
                    continue  # an unlabelled row can neither train nor score a model
                numerical.append([self._parse_number(record[name], name, reader.line_num)
                                  for name in self._schema.numerical_columns])
                categorical.append([self._clean(record[name]) for name in self._schema.categorical_columns])
                target.append(label)
        if not target:
            raise TableFormatError(f"{file_path} contains no labelled rows.")
        row_count = len(target)
        return RawTable(np.array(numerical, dtype=np.float64).reshape(row_count, len(self._schema.numerical_columns)),
                        np.array(categorical, dtype=object).reshape(row_count, len(self._schema.categorical_columns)),
                        np.array(target, dtype=object))

    def _verify_header(self, file_path: str, header: List[str]) -> None:
        required = {*self._schema.numerical_columns, *self._schema.categorical_columns, self._schema.target_column}
        absent = sorted(required - set(header))
        if absent:
            raise TableFormatError(f"{file_path} lacks the columns {absent}; it has {list(header)}")

    @staticmethod
    def _clean(text: Optional[str]) -> Optional[str]:
        stripped = (text or "").strip()
        return None if stripped.lower() in MISSING_MARKERS else stripped

    def _parse_number(self, text: Optional[str], column: str, line: int) -> float:
        cleaned = self._clean(text)
        if cleaned is None:
            return float("nan")
        try:
            return float(cleaned)
        except ValueError:
            raise TableFormatError(f"Line {line}: '{cleaned}' in column '{column}' is not a number.") from None


class NumericalScaler(ABC):
    @abstractmethod
    def fit(self, values: np.ndarray) -> "NumericalScaler": ...

    @abstractmethod
    def transform(self, values: np.ndarray) -> np.ndarray: ...


class StandardNumericalScaler(NumericalScaler):
    def fit(self, values):
        self._mean = values.mean(axis=0)
        deviation = values.std(axis=0)
        self._deviation = np.where(deviation < 1e-12, 1.0, deviation)
        return self

    def transform(self, values):
        return (values - self._mean) / self._deviation


class QuantileNumericalScaler(NumericalScaler):
    """Maps every column to its empirical rank and stretches that to [-sqrt 3, sqrt 3] (unit variance)."""

    def __init__(self, maximum_quantiles: int = 500):
        self._maximum_quantiles = maximum_quantiles

    def fit(self, values):
        self._levels = np.linspace(0.0, 1.0, max(2, min(self._maximum_quantiles, len(values))))
        self._knots = np.quantile(values, self._levels, axis=0)
        return self

    def transform(self, values):
        result = np.empty_like(values)
        for column in range(values.shape[1]):
            knots = self._knots[:, column]
            # Averaging both directions places tied values in the middle of their plateau.
            ascending = np.interp(values[:, column], knots, self._levels)
            descending = 1.0 - np.interp(-values[:, column], -knots[::-1], self._levels)
            result[:, column] = (ascending + descending - 1.0) * np.sqrt(3.0)
        return result


class NumericalScalerFactory:
    _REGISTRY = {"standard": StandardNumericalScaler, "quantile": QuantileNumericalScaler}

    @classmethod
    def create(cls, name: str) -> NumericalScaler:
        if name not in cls._REGISTRY:
            raise ValueError(f"Unknown scaler '{name}'; choose one of {sorted(cls._REGISTRY)}")
        return cls._REGISTRY[name]()


class TargetEncoder:
    def __init__(self, task: TaskType):
        self._task = task
        self.mean, self.deviation = 0.0, 1.0
        self.class_names: List[str] = []

    def fit(self, target: np.ndarray) -> "TargetEncoder":
        if self._task is TaskType.REGRESSION:
            numbers = target.astype(np.float64)
            self.mean, self.deviation = float(numbers.mean()), float(numbers.std()) or 1.0
            return self
        self.class_names = sorted(set(target))
        if self._task is TaskType.BINARY and len(self.class_names) != 2:
            raise TableFormatError(f"A binary task needs exactly two classes, found {self.class_names}")
        return self

    def transform(self, target: np.ndarray) -> np.ndarray:
        if self._task is TaskType.REGRESSION:
            return (target.astype(np.float64) - self.mean) / self.deviation
        unknown = sorted(set(target) - set(self.class_names))
        if unknown:
            raise TableFormatError(f"Classes never seen in training: {unknown}")
        return np.array([self.class_names.index(label) for label in target], dtype=np.int64)

    @property
    def output_size(self) -> int:
        return len(self.class_names) if self._task is TaskType.MULTICLASS else 1


class TablePreprocessor:
    """Fits on training rows only; code 0 of each categorical column means missing or unseen."""

    def __init__(self, task: TaskType, scaler_name: str = "quantile"):
        self._scaler = NumericalScalerFactory.create(scaler_name)
        self.target_encoder = TargetEncoder(task)
        self._vocabularies: List[Dict[str, int]] = []

    def fit(self, table: RawTable) -> "TablePreprocessor":
        self._medians = np.array([np.median(column[~np.isnan(column)]) if (~np.isnan(column)).any() else 0.0
                                  for column in table.numerical.T])
        self._scaler.fit(self._impute(table.numerical))
        self._vocabularies = [{value: code for code, value in enumerate(sorted(set(column) - {None}), start=1)}
                              for column in table.categorical.T]
        self.target_encoder.fit(table.target)
        return self

    def transform(self, table: RawTable) -> EncodedTable:
        categorical = np.zeros(table.categorical.shape, dtype=np.int64)
        for position, vocabulary in enumerate(self._vocabularies):
            categorical[:, position] = [vocabulary.get(value, 0) for value in table.categorical[:, position]]
        return EncodedTable(self._scaler.transform(self._impute(table.numerical)).astype(np.float32),
                            categorical, self.target_encoder.transform(table.target))

    def _impute(self, values: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(values), self._medians, values)

    @property
    def cardinalities(self) -> List[int]:
        return [len(vocabulary) + 1 for vocabulary in self._vocabularies]


class RandomTableSplitter:
    def __init__(self, validation_fraction: float = 0.15, test_fraction: float = 0.15):
        if min(validation_fraction, test_fraction) <= 0 or validation_fraction + test_fraction >= 1:
            raise ValueError("Both fractions must be positive and leave room for training rows.")
        self._validation_fraction, self._test_fraction = validation_fraction, test_fraction

    def split(self, table: RawTable, seed: int) -> Tuple[RawTable, RawTable, RawTable]:
        row_count = len(table.target)
        if row_count < 10:
            raise ValueError(f"Only {row_count} rows: too few to split three ways.")
        order = np.random.default_rng(seed).permutation(row_count)
        test_end = max(1, int(row_count * self._test_fraction))
        validation_end = test_end + max(1, int(row_count * self._validation_fraction))
        return (table.select_rows(order[validation_end:]), table.select_rows(order[test_end:validation_end]),
                table.select_rows(order[:test_end]))
