"""Symmetric InfoNCE with a momentum queue of negatives, and the trainer."""

from __future__ import annotations

import copy
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from encoders import DualEncoder

logger = logging.getLogger(__name__)


@dataclass
class ContrastiveTrainingConfig:
    epochs: int = 30
    learning_rate: float = 5e-4
    weight_decay: float = 0.05
    warmup_fraction: float = 0.05
    queue_size: int = 4096
    momentum: float = 0.995
    hardness: float = 0.5
    gradient_clip_norm: float = 1.0
    checkpoint_directory: Path = Path("checkpoints")

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise ValueError("momentum must lie in [0, 1)")
        if self.queue_size < 1 or self.hardness < 0:
            raise ValueError("queue_size must be positive and hardness must not be negative")


class EmbeddingQueue(nn.Module):
    """Ring buffer of the most recent momentum embeddings."""

    def __init__(self, capacity: int, embedding_size: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.register_buffer("storage", torch.zeros(capacity, embedding_size))
        self.register_buffer("num_written", torch.zeros((), dtype=torch.long))

    @property
    def contents(self) -> Tensor:
        return self.storage[: min(int(self.num_written), self.capacity)]

    @torch.no_grad()
    def push(self, embeddings: Tensor) -> None:
        embeddings = embeddings[-self.capacity :]
        offsets = torch.arange(embeddings.size(0), device=embeddings.device)
        self.storage[(self.num_written + offsets) % self.capacity] = embeddings
        self.num_written += embeddings.size(0)


class HardNegativeContrastiveLoss(nn.Module):
    """InfoNCE in which a negative counts more, the more similar it is to the query.

    The weights of the negatives of one query are proportional to ``exp(hardness * logit)`` and average to
    one, so that a hardness of zero gives the ordinary loss.
    """

    def __init__(self, hardness: float) -> None:
        super().__init__()
        self.hardness = hardness

    def forward(self, queries: Tensor, keys: Tensor, extra_negatives: Tensor, temperature: Tensor) -> Tensor:
        candidates = torch.cat([keys, extra_negatives])
        logits = queries @ candidates.t() / temperature
        targets = torch.arange(queries.size(0), device=queries.device)
        is_positive = functional.one_hot(targets, candidates.size(0)).bool()
        return functional.cross_entropy(logits + self._log_weights(logits, is_positive), targets)

    def _log_weights(self, logits: Tensor, is_positive: Tensor) -> Tensor:
        scores = (self.hardness * logits.detach()).masked_fill(is_positive, float("-inf"))
        num_negatives = max(1, scores.size(1) - 1)
        log_weights = scores.log_softmax(dim=1) + math.log(num_negatives)
        return log_weights.masked_fill(is_positive, 0.0)


class ContrastiveTrainer:
    def __init__(self, model: DualEncoder, config: ContrastiveTrainingConfig, device: str = "cpu") -> None:
        self.config = config
        self.device = torch.device(device)
        self.model = model.to(self.device)
        self.momentum_model = copy.deepcopy(self.model).eval().requires_grad_(False)
        embedding_size = model.config.embedding_size
        self.image_queue = EmbeddingQueue(config.queue_size, embedding_size).to(self.device)
        self.text_queue = EmbeddingQueue(config.queue_size, embedding_size).to(self.device)
        self.loss_function = HardNegativeContrastiveLoss(config.hardness)
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )

    @torch.no_grad()
    def _update_momentum_model(self) -> None:
        for averaged, current in zip(self.momentum_model.parameters(), self.model.parameters()):
            averaged.lerp_(current, 1 - self.config.momentum)

    def compute_loss(self, images: Tensor, token_ids: Tensor) -> Tensor:
        """Loss of one batch; afterwards its momentum embeddings join the queues."""
        image_queries, text_queries = self.model(images, token_ids)
        with torch.no_grad():
            image_keys, text_keys = self.momentum_model(images, token_ids)
        temperature = self.model.temperature
        old_images, old_texts = self.image_queue.contents.clone(), self.text_queue.contents.clone()
        image_to_text = self.loss_function(image_queries, text_keys, old_texts, temperature)
        text_to_image = self.loss_function(text_queries, image_keys, old_images, temperature)
        self.image_queue.push(image_keys)
        self.text_queue.push(text_keys)
        return (image_to_text + text_to_image) / 2

    def train_step(self, images: Tensor, token_ids: Tensor) -> float:
        self.model.train()
        loss = self.compute_loss(images.to(self.device), token_ids.to(self.device))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip_norm)
        self.optimizer.step()
        self._update_momentum_model()
        return loss.item()

    def fit(self, loader: Iterable[tuple[Tensor, Tensor]], steps_per_epoch: int) -> None:
        """Train on batches of augmented images and padded token ids."""
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            max_lr=self.config.learning_rate,
            total_steps=self.config.epochs * steps_per_epoch,
            pct_start=self.config.warmup_fraction,
        )
        for epoch in range(1, self.config.epochs + 1):
            losses = []
            for images, token_ids in loader:
                losses.append(self.train_step(images, token_ids))
                scheduler.step()
            mean_loss = sum(losses) / len(losses)
            logger.info(
                "Epoch %d: loss %.4f, temperature %.4f", epoch, mean_loss, self.model.temperature.item()
            )
            self.save(self.config.checkpoint_directory / f"epoch_{epoch:03d}.pt")

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(
            {
                "model": self.model.state_dict(),
                "momentum_model": self.momentum_model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "image_queue": self.image_queue.state_dict(),
                "text_queue": self.text_queue.state_dict(),
            },
            path,
        )
