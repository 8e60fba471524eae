"""Zero-shot classification with prompt ensembles, and retrieval recall."""

from __future__ import annotations

from typing import Callable, Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from encoders import DualEncoder

TextTokenizer = Callable[[Sequence[str]], Tensor]

DEFAULT_PROMPTS = (
    "a photo of a {}.",
    "a close-up picture of the {}.",
    "an image that shows one {}.",
    "a drawing of a {}.",
    "a dark photograph of a {}.",
)


class ZeroShotClassifier:
    """Each class is the mean text embedding of its name in several prompts."""

    def __init__(
        self,
        model: DualEncoder,
        tokenizer: TextTokenizer,
        class_names: Sequence[str],
        prompts: Sequence[str] = DEFAULT_PROMPTS,
    ) -> None:
        self.model = model.eval()
        self.class_names = list(class_names)
        self.device = next(model.parameters()).device
        self.class_embeddings = torch.stack(
            [self._embed_class(name, prompts, tokenizer) for name in self.class_names]
        )

    @torch.no_grad()
    def _embed_class(self, name: str, prompts: Sequence[str], tokenizer: TextTokenizer) -> Tensor:
        token_ids = tokenizer([prompt.format(name) for prompt in prompts])
        embeddings = self.model.text_encoder(token_ids.to(self.device))
        return functional.normalize(embeddings.mean(dim=0), dim=-1)

    @torch.no_grad()
    def predict_probabilities(self, images: Tensor) -> Tensor:
        embeddings = self.model.vision_encoder(images.to(self.device))
        return (embeddings @ self.class_embeddings.t() / self.model.temperature).softmax(dim=-1)

    def accuracy(self, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
        num_correct, num_images = 0, 0
        for images, labels in batches:
            predictions = self.predict_probabilities(images).argmax(dim=-1).cpu()
            num_correct += int((predictions == labels).sum())
            num_images += labels.numel()
        return num_correct / max(1, num_images)


def recall_at_k(similarities: Tensor, is_match: Tensor, k: int) -> float:
    """Share of the rows with a match that find one among their k most similar columns."""
    best_columns = similarities.topk(min(k, similarities.size(1)), dim=1).indices
    has_hit = is_match.gather(1, best_columns).any(dim=1)
    return has_hit[is_match.any(dim=1)].float().mean().item()


class RetrievalEvaluator:
    """Recall in both directions; ``caption_owner`` tells which image each caption describes."""

    def __init__(self, cutoffs: Sequence[int] = (1, 5, 10)) -> None:
        self.cutoffs = tuple(cutoffs)

    def evaluate(
        self, image_embeddings: Tensor, text_embeddings: Tensor, caption_owner: Tensor
    ) -> dict[str, float]:
        similarities = image_embeddings @ text_embeddings.t()
        image_numbers = torch.arange(image_embeddings.size(0), device=caption_owner.device)
        is_match = image_numbers.unsqueeze(1) == caption_owner.unsqueeze(0)
        results: dict[str, float] = {}
        for cutoff in self.cutoffs:
            results[f"image_to_text_recall@{cutoff}"] = recall_at_k(similarities, is_match, cutoff)
            results[f"text_to_image_recall@{cutoff}"] = recall_at_k(similarities.t(), is_match.t(), cutoff)
        return results
