"""InfoNCE over batch and queue, hard negatives emphasised."""

import math

import torch
from torch import nn
from torch.nn import functional as F


class EmbeddingQueue:
    """The latest momentum embeddings of images and texts; the oldest are overwritten."""

    def __init__(self, capacity, dim, device):
        self.capacity = capacity
        self.total = 0
        self._images = torch.zeros(capacity, dim, device=device)
        self._texts = torch.zeros(capacity, dim, device=device)

    @property
    def filled(self):
        return self.total if self.total < self.capacity else self.capacity

    @property
    def images(self):
        return self._images[: self.filled]

    @property
    def texts(self):
        return self._texts[: self.filled]

    @torch.no_grad()
    def add(self, images, texts):
        count = images.size(0)
        if self.capacity == 0:
            self.total += count
            return
        skip = count - self.capacity if count > self.capacity else 0
        positions = [(self.total + i) % self.capacity for i in range(skip, count)]
        self._images[positions] = images[skip:]
        self._texts[positions] = texts[skip:]
        self.total += count


class HardNegativeLoss(nn.Module):
    def __init__(self, hardness=0.5):
        super().__init__()
        self.hardness = hardness

    def negative_log_weights(self, similarities, is_positive):
        """Logarithms of weights whose mean over the negatives is one; zero for the positive."""
        num_negatives = max(similarities.size(1) - 1, 1)
        sharpened = self.hardness * similarities.detach()
        sharpened[is_positive] = float("-inf")
        log_weights = sharpened - torch.logsumexp(sharpened, dim=1, keepdim=True) + math.log(num_negatives)
        log_weights[is_positive] = 0.0
        return log_weights

    def one_direction(self, queries, positives, extra_negatives, scale):
        targets = torch.arange(queries.size(0), device=queries.device)
        similarities = torch.cat([queries @ positives.t(), queries @ extra_negatives.t()], dim=1)
        is_positive = torch.zeros_like(similarities, dtype=torch.bool)
        is_positive[targets, targets] = True
        logits = similarities * scale + self.negative_log_weights(similarities, is_positive)
        return F.cross_entropy(logits, targets)

    def forward(self, embeddings, momentum_embeddings, queue, scale):
        images, texts = embeddings
        momentum_images, momentum_texts = momentum_embeddings
        text_loss = self.one_direction(texts, momentum_images, queue.images, scale)
        image_loss = self.one_direction(images, momentum_texts, queue.texts, scale)
        return (image_loss + text_loss) / 2
