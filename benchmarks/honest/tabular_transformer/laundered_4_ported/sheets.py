"""Loads delimited text files and converts them to arrays that a network accepts."""
import csv
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import Dict, List, Optional, Tuple

import numpy as np

EMPTY_WORDS = frozenset({"", "?", "na", "n/a", "nan", "none", "null"})


class Problem(Enum):
    REGRESSION = "regression"
    BINARY = "binary"
    MULTICLASS = "multiclass"


class SheetError(ValueError):
    """The sheet on disk is not what the column plan promises."""


@dataclass(frozen=True)
class ColumnPlan:
    real_names: Tuple[str, ...]
    symbol_names: Tuple[str, ...]
    answer_name: str

    def __post_init__(self):
        every = [*self.real_names, *self.symbol_names, self.answer_name]
        if len(every) < 2:
            raise SheetError("The plan has no input column.")
        if len(set(every)) != len(every):
            raise SheetError(f"The plan repeats a column: {every}")


@dataclass
class Sheet:
    reals: np.ndarray
    symbols: np.ndarray
    answers: np.ndarray

    def rows(self, index: np.ndarray) -> "Sheet":
        return Sheet(self.reals[index], self.symbols[index], self.answers[index])


@dataclass
class ArraySheet:
    reals: np.ndarray
    symbols: np.ndarray
    answers: np.ndarray


class SheetLoader:
    def __init__(self, plan: ColumnPlan, separator: str = ","):
        self._plan = plan
        self._separator = separator

    def load(self, path: str) -> Sheet:
        reals, symbols, answers = [], [], []
        with open(path, newline="", encoding="utf-8") as source:
            lines = csv.DictReader(source, delimiter=self._separator)
            self._check_names(path, lines.fieldnames or [])
            for entry in lines:
                answer = self._tidy(entry[self._plan.answer_name])
                if answer is None:
                    continue  # without an answer the row is of no use
                reals.append([self._to_real(entry[key], key, lines.line_num) for key in self._plan.real_names])
                symbols.append([self._tidy(entry[key]) for key in self._plan.symbol_names])
                answers.append(answer)
        if not answers:
            raise SheetError(f"{path} has no row with an answer.")
        total = len(answers)
        return Sheet(np.array(reals, dtype=np.float64).reshape(total, len(self._plan.real_names)),
                     np.array(symbols, dtype=object).reshape(total, len(self._plan.symbol_names)),
                     np.array(answers, dtype=object))

    def _check_names(self, path: str, names: List[str]) -> None:
        wanted = {*self._plan.real_names, *self._plan.symbol_names, self._plan.answer_name}
        lost = sorted(wanted - set(names))
        if lost:
            raise SheetError(f"{path} is without the columns {lost}; present are {list(names)}")

    @staticmethod
    def _tidy(cell: Optional[str]) -> Optional[str]:
        bare = (cell or "").strip()
        return None if bare.lower() in EMPTY_WORDS else bare

    def _to_real(self, cell: Optional[str], key: str, line: int) -> float:
        bare = self._tidy(cell)
        if bare is None:
            return float("nan")
        try:
            return float(bare)
        except ValueError:
            raise SheetError(f"'{bare}' (column '{key}', line {line}) is no number.") from None


class RealNormalizer(ABC):
    @abstractmethod
    def learn(self, matrix: np.ndarray) -> "RealNormalizer": ...

    @abstractmethod
    def apply(self, matrix: np.ndarray) -> np.ndarray: ...


class ZScoreNormalizer(RealNormalizer):
    def learn(self, matrix):
        self._center = matrix.mean(axis=0)
        width = matrix.std(axis=0)
        self._width = np.where(width < 1e-12, 1.0, width)
        return self

    def apply(self, matrix):
        return (matrix - self._center) / self._width


class RankNormalizer(RealNormalizer):
    """Replaces values by their empirical rank, spread evenly over [-sqrt 3, sqrt 3]."""

    def __init__(self, most_points: int = 500):
        self._most_points = most_points

    def learn(self, matrix):
        self._ranks = np.linspace(0.0, 1.0, max(2, min(self._most_points, len(matrix))))
        self._points = np.quantile(matrix, self._ranks, axis=0)
        return self

    def apply(self, matrix):
        mapped = np.empty_like(matrix)
        for j in range(matrix.shape[1]):
            points = self._points[:, j]
            # The mean of both directions sends equal values to the middle of their step.
            from_left = np.interp(matrix[:, j], points, self._ranks)
            from_right = 1.0 - np.interp(-matrix[:, j], -points[::-1], self._ranks)
            mapped[:, j] = (from_left + from_right - 1.0) * np.sqrt(3.0)
        return mapped


NORMALIZERS = {"zscore": ZScoreNormalizer, "rank": RankNormalizer}


def make_normalizer(kind: str) -> RealNormalizer:
    if kind not in NORMALIZERS:
        raise ValueError(f"No normalizer '{kind}'; there are {sorted(NORMALIZERS)}")
    return NORMALIZERS[kind]()


class AnswerCoder:
    def __init__(self, problem: Problem):
        self._problem = problem
        self.center, self.width = 0.0, 1.0
        self.labels: List[str] = []

    def learn(self, answers: np.ndarray) -> "AnswerCoder":
        if self._problem is Problem.REGRESSION:
            floats = answers.astype(np.float64)
            self.center, self.width = float(floats.mean()), float(floats.std()) or 1.0
            return self
        self.labels = sorted(set(answers))
        if self._problem is Problem.BINARY and len(self.labels) != 2:
            raise SheetError(f"Two labels are required for a binary problem, not {self.labels}")
        return self

    def apply(self, answers: np.ndarray) -> np.ndarray:
        if self._problem is Problem.REGRESSION:
            return ((answers.astype(np.float64) - self.center) / self.width).astype(np.float32)
        fresh = sorted(set(answers) - set(self.labels))
        if fresh:
            raise SheetError(f"Labels the training rows do not have: {fresh}")
        return np.array([self.labels.index(answer) for answer in answers], dtype=np.int32)

    @property
    def out_features(self) -> int:
        return len(self.labels) if self._problem is Problem.MULTICLASS else 1


class SheetEncoder:
    """Learns from training rows alone; symbol 0 is kept for missing and unknown values."""

    def __init__(self, problem: Problem, normalizer: str = "rank"):
        self._normalizer = make_normalizer(normalizer)
        self.answer_coder = AnswerCoder(problem)
        self._dictionaries: List[Dict[str, int]] = []

    def learn(self, sheet: Sheet) -> "SheetEncoder":
        self._fillers = np.array([np.median(values[~np.isnan(values)]) if (~np.isnan(values)).any() else 0.0
                                  for values in sheet.reals.T])
        self._normalizer.learn(self._fill_gaps(sheet.reals))
        self._dictionaries = [{word: number for number, word in enumerate(sorted(set(words) - {None}), start=1)}
                              for words in sheet.symbols.T]
        self.answer_coder.learn(sheet.answers)
        return self

    def apply(self, sheet: Sheet) -> ArraySheet:
        symbols = np.zeros(sheet.symbols.shape, dtype=np.int32)
        for j, dictionary in enumerate(self._dictionaries):
            symbols[:, j] = [dictionary.get(word, 0) for word in sheet.symbols[:, j]]
        return ArraySheet(self._normalizer.apply(self._fill_gaps(sheet.reals)).astype(np.float32),
                          symbols, self.answer_coder.apply(sheet.answers))

    def _fill_gaps(self, matrix: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(matrix), self._fillers, matrix)

    @property
    def level_counts(self) -> Tuple[int, ...]:
        return tuple(len(dictionary) + 1 for dictionary in self._dictionaries)


class ShuffleDivider:
    def __init__(self, dev_part: float = 0.15, held_out_part: float = 0.15):
        if min(dev_part, held_out_part) <= 0 or dev_part + held_out_part >= 1:
            raise ValueError("The parts must be above zero and leave rows to train on.")
        self._dev_part, self._held_out_part = dev_part, held_out_part

    def divide(self, sheet: Sheet, seed: int) -> Tuple[Sheet, Sheet, Sheet]:
        total = len(sheet.answers)
        if total < 10:
            raise ValueError(f"{total} rows are not enough for three parts.")
        shuffled = np.random.default_rng(seed).permutation(total)
        held_out_stop = max(1, int(total * self._held_out_part))
        dev_stop = held_out_stop + max(1, int(total * self._dev_part))
        return (sheet.rows(shuffled[dev_stop:]), sheet.rows(shuffled[held_out_stop:dev_stop]),
                sheet.rows(shuffled[:held_out_stop]))
