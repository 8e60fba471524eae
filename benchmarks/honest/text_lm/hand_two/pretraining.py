"""Language-model pretraining, checkpoints and sliding-window perplexity."""

from __future__ import annotations

import logging
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from language_model import DecoderLanguageModel

logger = logging.getLogger(__name__)


@dataclass
class PretrainingConfig:
    output_directory: Path = Path("checkpoints")
    total_steps: int = 20_000
    warmup_steps: int = 500
    peak_learning_rate: float = 6e-4
    final_learning_rate: float = 6e-5
    weight_decay: float = 0.1
    micro_batch_size: int = 8
    accumulation_steps: int = 4
    sequence_length: int = 512
    gradient_clip_norm: float = 1.0
    evaluation_interval: int = 500
    log_interval: int = 20
    seed: int = 1234

    def __post_init__(self) -> None:
        self.output_directory = Path(self.output_directory)
        if not 0 <= self.warmup_steps < self.total_steps:
            raise ValueError("warmup_steps must be smaller than total_steps")
        if self.accumulation_steps < 1:
            raise ValueError("accumulation_steps must be at least 1")

    def learning_rate_at(self, step: int) -> float:
        if step < self.warmup_steps:
            return self.peak_learning_rate * (step + 1) / self.warmup_steps
        progress = (step - self.warmup_steps) / (self.total_steps - self.warmup_steps)
        cosine = 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
        return self.final_learning_rate + cosine * (self.peak_learning_rate - self.final_learning_rate)


class PerplexityEvaluator:
    """Slides a window over a long token stream; each token is scored once, with as much context as fits."""

    def __init__(self, window_length: int, stride: int) -> None:
        if not 0 < stride <= window_length:
            raise ValueError("stride must lie between 1 and window_length")
        self.window_length = window_length
        self.stride = stride

    @torch.inference_mode()
    def evaluate(self, model: DecoderLanguageModel, token_ids: Tensor) -> float:
        model.eval()
        device = next(model.parameters()).device
        num_targets = token_ids.numel() - 1
        total_loss, scored_until = 0.0, 0
        for start in range(0, num_targets, self.stride):
            end = min(start + self.window_length, num_targets)
            logits = model(token_ids[start:end].unsqueeze(0).to(device))[0]
            num_new = end - scored_until
            targets = token_ids[scored_until + 1 : end + 1].to(device)
            total_loss += functional.cross_entropy(logits[-num_new:].float(), targets, reduction="sum").item()
            scored_until = end
            if end == num_targets:
                break
        return math.exp(total_loss / num_targets)


class LanguageModelTrainer:
    def __init__(
        self,
        model: DecoderLanguageModel,
        config: PretrainingConfig,
        train_tokens: Tensor,
        validation_tokens: Tensor,
        device: str = "cpu",
    ) -> None:
        self.config = config
        self.device = torch.device(device)
        self.model = model.to(self.device)
        self.train_tokens = train_tokens
        self.validation_tokens = validation_tokens
        self.evaluator = PerplexityEvaluator(config.sequence_length, config.sequence_length // 2)
        self.optimizer = self._create_optimizer()
        self.random_generator = torch.Generator().manual_seed(config.seed)
        self.completed_steps = 0
        self.best_perplexity = float("inf")

    def _create_optimizer(self) -> torch.optim.AdamW:
        matrices = [parameter for parameter in self.model.parameters() if parameter.dim() >= 2]
        vectors = [parameter for parameter in self.model.parameters() if parameter.dim() < 2]
        groups = [
            {"params": matrices, "weight_decay": self.config.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.config.peak_learning_rate, betas=(0.9, 0.95))

    def _micro_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        length = self.config.sequence_length
        for _ in range(self.config.accumulation_steps):
            starts = torch.randint(
                self.train_tokens.numel() - length,
                (self.config.micro_batch_size, 1),
                generator=self.random_generator,
            )
            windows = self.train_tokens[starts + torch.arange(length + 1)].to(self.device)
            yield windows[:, :-1], windows[:, 1:]

    def _optimize_step(self) -> float:
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate_at(self.completed_steps)
        step_loss = 0.0
        for inputs, targets in self._micro_batches():
            logits = self.model(inputs)
            loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
            (loss / self.config.accumulation_steps).backward()
            step_loss += loss.item() / self.config.accumulation_steps
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.completed_steps += 1
        return step_loss

    def run(self) -> None:
        while self.completed_steps < self.config.total_steps:
            loss = self._optimize_step()
            if self.completed_steps % self.config.log_interval == 0:
                logger.info("Step %d: training loss %.4f", self.completed_steps, loss)
            if self.completed_steps % self.config.evaluation_interval == 0:
                self._evaluate_and_save()

    def _evaluate_and_save(self) -> None:
        perplexity = self.evaluator.evaluate(self.model, self.validation_tokens)
        logger.info("Step %d: validation perplexity %.3f", self.completed_steps, perplexity)
        if perplexity < self.best_perplexity:
            self.best_perplexity = perplexity
            self.save_checkpoint(self.config.output_directory / "best.pt")
        self.save_checkpoint(self.config.output_directory / "latest.pt")

    def save_checkpoint(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary_path = path.with_suffix(".partial")
        checkpoint = {
            "model_config": asdict(self.model.config),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random_generator": self.random_generator.get_state(),
            "completed_steps": self.completed_steps,
            "best_perplexity": self.best_perplexity,
        }
        torch.save(checkpoint, temporary_path)
        temporary_path.replace(path)

    def load_checkpoint(self, path: Path) -> None:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        self.model.load_state_dict(checkpoint["model"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.random_generator.set_state(checkpoint["random_generator"])
        self.completed_steps = checkpoint["completed_steps"]
        self.best_perplexity = checkpoint["best_perplexity"]
