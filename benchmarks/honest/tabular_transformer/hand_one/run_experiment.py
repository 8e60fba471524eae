"""Trains the transformer and the MLP baseline over several seeds and reports test metrics."""
import argparse
import copy
import random
from dataclasses import dataclass
from typing import Dict, List

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from tabular_data import (CsvTableReader, EncodedTable, RandomTableSplitter, RawTable, TablePreprocessor,
                          TableSchema, TargetEncoder, TaskType)
from tabular_models import CategoricalEmbeddingTable, FeatureTokenizer, ModelSettings, TabularModelFactory


@dataclass(frozen=True)
class TrainingSettings:
    learning_rate: float = 3e-4
    weight_decay: float = 1e-4
    batch_size: int = 256
    maximum_epochs: int = 200
    patience: int = 16
    device: str = "cpu"


class MetricCalculator:
    """Every task has one primary metric, oriented so that larger is better in `primary_score`."""

    def __init__(self, task: TaskType, target_encoder: TargetEncoder):
        self._task, self._encoder = task, target_encoder

    def calculate(self, outputs: np.ndarray, target: np.ndarray) -> Dict[str, float]:
        if self._task is TaskType.REGRESSION:
            error = (outputs[:, 0] - target) * self._encoder.deviation
            return {"rmse": float(np.sqrt(np.mean(error ** 2)))}
        if self._task is TaskType.BINARY:
            logits = outputs[:, 0]
            return {"accuracy": float(np.mean((logits > 0) == (target == 1))), "auc": self._area(logits, target)}
        return {"accuracy": float(np.mean(outputs.argmax(axis=1) == target))}

    def primary_score(self, metrics: Dict[str, float]) -> float:
        if self._task is TaskType.REGRESSION:
            return -metrics["rmse"]
        if self._task is TaskType.BINARY and not np.isnan(metrics["auc"]):
            return metrics["auc"]
        return metrics["accuracy"]

    @staticmethod
    def _area(scores: np.ndarray, target: np.ndarray) -> float:
        positives, negatives = int((target == 1).sum()), int((target == 0).sum())
        if positives == 0 or negatives == 0:
            return float("nan")
        _, group, counts = np.unique(scores, return_inverse=True, return_counts=True)
        average_ranks = np.cumsum(counts) - (counts - 1) / 2.0  # ties share their mean rank
        rank_sum = average_ranks[group][target == 1].sum()
        return float((rank_sum - positives * (positives + 1) / 2) / (positives * negatives))


class TaskLoss:
    def __init__(self, task: TaskType):
        self._task = task

    def __call__(self, outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if self._task is TaskType.MULTICLASS:
            return F.cross_entropy(outputs, target)
        if self._task is TaskType.BINARY:
            return F.binary_cross_entropy_with_logits(outputs[:, 0], target.float())
        return F.mse_loss(outputs[:, 0], target.float())


class OptimizerFactory:
    _UNDECAYED_MODULES = (nn.LayerNorm, FeatureTokenizer, CategoricalEmbeddingTable)

    @classmethod
    def create(cls, model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
        exempt = {id(parameter) for module in model.modules() if isinstance(module, cls._UNDECAYED_MODULES)
                  for parameter in module.parameters()}
        exempt |= {id(parameter) for name, parameter in model.named_parameters() if name.endswith("bias")}
        groups = [{"params": [p for p in model.parameters() if id(p) not in exempt],
                   "weight_decay": settings.weight_decay},
                  {"params": [p for p in model.parameters() if id(p) in exempt], "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=settings.learning_rate)


class EarlyStoppingMonitor:
    def __init__(self, patience: int):
        self._patience, self._stale_epochs = patience, 0
        self._best_score, self._best_state = float("-inf"), None

    def record(self, score: float, model: nn.Module) -> bool:
        """Returns True once training should end."""
        if score > self._best_score:
            self._best_score, self._stale_epochs = score, 0
            self._best_state = copy.deepcopy(model.state_dict())
        else:
            self._stale_epochs += 1
        return self._stale_epochs >= self._patience

    def restore_best(self, model: nn.Module) -> None:
        if self._best_state is None:
            raise RuntimeError("No epoch produced a finite validation score; try a lower learning rate.")
        model.load_state_dict(self._best_state)


class BatchPredictor:
    def __init__(self, batch_size: int = 2048, device: str = "cpu"):
        self._batch_size, self._device = batch_size, device

    @torch.no_grad()
    def predict(self, model: nn.Module, table: EncodedTable) -> np.ndarray:
        model.eval()
        pieces = []
        for start in range(0, len(table.target), self._batch_size):
            rows = slice(start, start + self._batch_size)
            numerical = torch.from_numpy(table.numerical[rows]).to(self._device)
            categorical = torch.from_numpy(table.categorical[rows]).to(self._device)
            pieces.append(model(numerical, categorical).cpu().numpy())
        return np.concatenate(pieces)


class TabularTrainer:
    def __init__(self, task: TaskType, metrics: MetricCalculator, settings: TrainingSettings):
        self._loss, self._metrics, self._settings = TaskLoss(task), metrics, settings
        self._predictor = BatchPredictor(device=settings.device)

    def fit(self, model: nn.Module, train: EncodedTable, validation: EncodedTable) -> None:
        model.to(self._settings.device)
        optimizer = OptimizerFactory.create(model, self._settings)
        monitor = EarlyStoppingMonitor(self._settings.patience)
        tensors = [torch.from_numpy(array).to(self._settings.device)
                   for array in (train.numerical, train.categorical, train.target)]
        for _ in range(self._settings.maximum_epochs):
            model.train()
            for rows in torch.randperm(len(train.target)).split(self._settings.batch_size):
                numerical, categorical, target = (tensor[rows.to(tensor.device)] for tensor in tensors)
                optimizer.zero_grad()
                self._loss(model(numerical, categorical), target).backward()
                optimizer.step()
            if monitor.record(self._metrics.primary_score(self.evaluate(model, validation)), model):
                break
        monitor.restore_best(model)

    def evaluate(self, model: nn.Module, table: EncodedTable) -> Dict[str, float]:
        return self._metrics.calculate(self._predictor.predict(model, table), table.target)


class ExperimentRunner:
    def __init__(self, task: TaskType, scaler_name: str, model_settings: ModelSettings,
                 training_settings: TrainingSettings):
        self._task, self._scaler_name = task, scaler_name
        self._model_settings, self._training_settings = model_settings, training_settings

    def run_once(self, table: RawTable, model_name: str, split_seed: int, seed: int) -> Dict[str, float]:
        train, validation, test = RandomTableSplitter().split(table, split_seed)
        preprocessor = TablePreprocessor(self._task, self._scaler_name).fit(train)
        train, validation, test = (preprocessor.transform(part) for part in (train, validation, test))
        self._seed_everything(seed)
        model = TabularModelFactory.create(model_name, train.numerical.shape[1], preprocessor.cardinalities,
                                           preprocessor.target_encoder.output_size, self._model_settings)
        calculator = MetricCalculator(self._task, preprocessor.target_encoder)
        trainer = TabularTrainer(self._task, calculator, self._training_settings)
        trainer.fit(model, train, validation)
        return trainer.evaluate(model, test)

    def run_many(self, table: RawTable, model_name: str, split_seed: int, seeds: List[int]) -> None:
        results = [self.run_once(table, model_name, split_seed, seed) for seed in seeds]
        for metric in results[0]:
            values = [result[metric] for result in results]
            print(f"{model_name:<12} {metric:<9} {np.mean(values):.4f} +/- {np.std(values):.4f} ({len(seeds)} runs)")

    @staticmethod
    def _seed_everything(seed: int) -> None:
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("csv_file")
    parser.add_argument("--target", required=True)
    parser.add_argument("--numerical", nargs="*", default=[])
    parser.add_argument("--categorical", nargs="*", default=[])
    parser.add_argument("--task", choices=[task.value for task in TaskType], required=True)
    parser.add_argument("--scaler", choices=["quantile", "standard"], default="quantile")
    parser.add_argument("--models", nargs="+", default=["transformer", "mlp"])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--split-seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")
    schema = TableSchema(tuple(arguments.numerical), tuple(arguments.categorical), arguments.target)
    table = CsvTableReader(schema).read(arguments.csv_file)
    runner = ExperimentRunner(TaskType(arguments.task), arguments.scaler, ModelSettings(),
                              TrainingSettings(device=arguments.device))
    for model_name in arguments.models:
        runner.run_many(table, model_name, arguments.split_seed, list(range(arguments.runs)))


if __name__ == "__main__":
    main()
