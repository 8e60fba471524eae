"""Masked multi-task training with early stopping on the mean ROC-AUC."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from typing import Optional

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from molecules import DatasetSplit, GraphBatch, MoleculeDataset
from network import MolecularPropertyNetwork

logger = logging.getLogger(__name__)


class MaskedBinaryCrossEntropy(nn.Module):
    """Binary cross-entropy averaged over the labels that were actually measured."""

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        is_measured = ~torch.isnan(labels)
        safe_labels = torch.where(is_measured, labels, torch.zeros_like(labels))
        losses = functional.binary_cross_entropy_with_logits(logits, safe_labels, reduction="none")
        return (losses * is_measured).sum() / is_measured.sum().clamp(min=1)


def area_under_roc_curve(scores: Tensor, labels: Tensor) -> Optional[float]:
    """Mann-Whitney form of the ROC-AUC with mid-ranks for ties; None if only one class is present."""
    num_positive = int((labels == 1).sum())
    num_negative = labels.numel() - num_positive
    if num_positive == 0 or num_negative == 0:
        return None
    _, tie_group, group_sizes = torch.unique(scores, return_inverse=True, return_counts=True)
    last_rank = torch.cumsum(group_sizes, dim=0).double()
    mid_rank = last_rank - (group_sizes.double() - 1) / 2
    positive_rank_sum = mid_rank[tie_group][labels == 1].sum().item()
    return (positive_rank_sum - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative)


def mean_roc_auc(logits: Tensor, labels: Tensor) -> float:
    """Average over the tasks for which the area is defined."""
    areas = []
    for task in range(labels.size(1)):
        measured = ~torch.isnan(labels[:, task])
        area = area_under_roc_curve(logits[measured, task], labels[measured, task])
        if area is not None:
            areas.append(area)
    if not areas:
        logger.warning("No task has both classes; reporting a mean ROC-AUC of 0.5")
        return 0.5
    return sum(areas) / len(areas)


@dataclass
class TrainingConfig:
    batch_size: int = 64
    max_epochs: int = 120
    learning_rate: float = 8e-4
    weight_decay: float = 1e-5
    gradient_clip_norm: float = 2.0
    patience: int = 15
    min_improvement: float = 5e-4
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.batch_size < 2:
            raise ValueError("batch_size must be at least 2 because of batch normalisation")
        if self.patience < 1 or self.max_epochs < 1:
            raise ValueError("patience and max_epochs must be positive")


class EarlyStopping:
    """Remembers the best model and signals when the score has stalled."""

    def __init__(self, patience: int, min_improvement: float) -> None:
        self.patience = patience
        self.min_improvement = min_improvement
        self.best_score = float("-inf")
        self.best_state: Optional[dict[str, Tensor]] = None
        self.epochs_without_improvement = 0

    def update(self, score: float, model: nn.Module) -> bool:
        """Record a validation score; returns True when training should stop."""
        if score > self.best_score + self.min_improvement:
            self.best_score = score
            self.best_state = copy.deepcopy(model.state_dict())
            self.epochs_without_improvement = 0
        else:
            self.epochs_without_improvement += 1
        return self.epochs_without_improvement >= self.patience


class PropertyTrainer:
    def __init__(self, model: MolecularPropertyNetwork, config: TrainingConfig) -> None:
        self.config = config
        self.device = torch.device(config.device)
        self.model = model.to(self.device)
        self.loss_function = MaskedBinaryCrossEntropy()
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer, mode="max", factor=0.5, patience=max(1, config.patience // 3)
        )

    def _create_loader(self, dataset: MoleculeDataset, training: bool) -> DataLoader:
        return DataLoader(
            dataset,
            batch_size=self.config.batch_size,
            shuffle=training,
            drop_last=training and len(dataset) > self.config.batch_size,
            collate_fn=GraphBatch.from_graphs,
        )

    def fit(self, split: DatasetSplit) -> float:
        """Train until the validation score stalls; returns the test score of the best model."""
        train_loader = self._create_loader(split.train, training=True)
        early_stopping = EarlyStopping(self.config.patience, self.config.min_improvement)
        for epoch in range(1, self.config.max_epochs + 1):
            train_loss = self._train_epoch(train_loader)
            validation_score = self.evaluate(split.validation)
            self.scheduler.step(validation_score)
            logger.info("Epoch %d: loss %.4f, validation ROC-AUC %.4f", epoch, train_loss, validation_score)
            if early_stopping.update(validation_score, self.model):
                logger.info("Stopping early after epoch %d", epoch)
                break
        if early_stopping.best_state is not None:
            self.model.load_state_dict(early_stopping.best_state)
        return self.evaluate(split.test)

    def _train_epoch(self, loader: DataLoader) -> float:
        self.model.train()
        total_loss, total_graphs = 0.0, 0
        for batch in loader:
            batch = batch.to(self.device)
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.loss_function(self.model(batch), batch.labels)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip_norm)
            self.optimizer.step()
            total_loss += loss.item() * batch.num_graphs
            total_graphs += batch.num_graphs
        return total_loss / max(1, total_graphs)

    @torch.no_grad()
    def evaluate(self, dataset: MoleculeDataset) -> float:
        self.model.eval()
        all_logits, all_labels = [], []
        for batch in self._create_loader(dataset, training=False):
            all_logits.append(self.model(batch.to(self.device)).cpu())
            all_labels.append(batch.labels)
        return mean_roc_auc(torch.cat(all_logits), torch.cat(all_labels))
