"""Text generation: a chain of logit processors followed by sampling."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Optional

import torch
from torch import Tensor

from language_model import DecoderLanguageModel


class LogitProcessor(ABC):
    """Transforms next-token logits [batch, vocabulary] given the tokens so far [batch, length]."""

    @abstractmethod
    def __call__(self, logits: Tensor, history: Tensor) -> Tensor: ...


class RepetitionPenalty(LogitProcessor):
    def __init__(self, penalty: float) -> None:
        self.penalty = penalty

    def __call__(self, logits: Tensor, history: Tensor) -> Tensor:
        seen_logits = logits.gather(1, history)
        penalized = torch.where(seen_logits > 0, seen_logits / self.penalty, seen_logits * self.penalty)
        return logits.scatter(1, history, penalized)


class Temperature(LogitProcessor):
    def __init__(self, temperature: float) -> None:
        self.temperature = temperature

    def __call__(self, logits: Tensor, history: Tensor) -> Tensor:
        return logits / self.temperature


class TopK(LogitProcessor):
    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self, logits: Tensor, history: Tensor) -> Tensor:
        threshold = logits.topk(min(self.count, logits.size(-1)), dim=-1).values[:, -1:]
        return logits.masked_fill(logits < threshold, float("-inf"))


class Nucleus(LogitProcessor):
    """Keeps the smallest set of tokens whose total probability reaches ``mass``."""

    def __init__(self, mass: float) -> None:
        self.mass = mass

    def __call__(self, logits: Tensor, history: Tensor) -> Tensor:
        sorted_logits, order = logits.sort(dim=-1, descending=True)
        probabilities = sorted_logits.softmax(dim=-1)
        mass_before = probabilities.cumsum(dim=-1) - probabilities
        sorted_logits = sorted_logits.masked_fill(mass_before >= self.mass, float("-inf"))
        return torch.empty_like(logits).scatter(1, order, sorted_logits)


@dataclass
class SamplingConfig:
    max_new_tokens: int = 128
    temperature: float = 0.8
    top_k: Optional[int] = 50
    nucleus_mass: Optional[float] = 0.95
    repetition_penalty: float = 1.1

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ValueError("temperature must not be negative; use 0 for greedy decoding")
        if self.nucleus_mass is not None and not 0 < self.nucleus_mass <= 1:
            raise ValueError("nucleus_mass must lie in (0, 1]")
        if self.repetition_penalty <= 0 or (self.top_k is not None and self.top_k < 1):
            raise ValueError("repetition_penalty and top_k must be positive")

    def build_processors(self) -> list[LogitProcessor]:
        processors: list[LogitProcessor] = []
        if self.repetition_penalty != 1.0:
            processors.append(RepetitionPenalty(self.repetition_penalty))
        if self.temperature > 0:
            processors.append(Temperature(self.temperature))
            if self.top_k is not None:
                processors.append(TopK(self.top_k))
            if self.nucleus_mass is not None:
                processors.append(Nucleus(self.nucleus_mass))
        return processors


class TextSampler:
    def __init__(self, model: DecoderLanguageModel, config: SamplingConfig) -> None:
        self.model = model
        self.config = config
        self.processors = config.build_processors()

    def _choose(self, logits: Tensor, history: Tensor) -> Tensor:
        for processor in self.processors:
            logits = processor(logits, history)
        if self.config.temperature == 0:
            return logits.argmax(dim=-1, keepdim=True)
        return torch.multinomial(logits.softmax(dim=-1), num_samples=1)

    @torch.inference_mode()
    def generate(self, prompt_ids: Tensor, end_id: Optional[int] = None) -> Tensor:
        """Continue the prompts [batch, length]; finished rows are filled up with ``end_id``."""
        self.model.eval()
        caches = self.model.create_cache(prompt_ids.size(0))
        history, pending = prompt_ids, prompt_ids
        finished = torch.zeros(prompt_ids.size(0), 1, dtype=torch.bool, device=prompt_ids.device)
        room = self.model.config.max_sequence_length - prompt_ids.size(1)
        for _ in range(min(self.config.max_new_tokens, room)):
            next_ids = self._choose(self.model(pending, caches)[:, -1], history)
            if end_id is not None:
                next_ids = next_ids.masked_fill(finished, end_id)
                finished |= next_ids == end_id
            history = torch.cat([history, next_ids], dim=1)
            if finished.all():
                break
            pending = next_ids
        return history
