"""Retrieval and zero-shot classification."""

import torch
from torch.nn import functional as F

from transforms import CenterSquare

PROMPT_TEMPLATES = [
    "a photo of a {}",
    "a blurry photo of a {}",
    "a close-up of a {}",
    "a drawing of a {}",
    "a small picture showing one {}",
    "{}",
]


class Evaluator:
    def __init__(self, model, batch_size, device):
        self.model = model
        self.batch_size = batch_size
        self.device = device
        self.view = CenterSquare(model.hparams["image_size"])

    def images(self, images):
        embedded = []
        for start in range(0, images.size(0), self.batch_size):
            chunk = images[start : start + self.batch_size].to(self.device)
            embedded.append(self.model.image_tower(self.view(chunk / 255.0)))
        return torch.cat(embedded)

    def texts(self, texts, batch_size=None):
        batch_size = batch_size or self.batch_size
        tower, embedded, start = self.model.text_tower, [], 0
        while start < len(texts):
            tokens = tower.encode_bytes(texts[start : start + batch_size])
            embedded.append(tower(tokens.to(self.device)))
            start += batch_size
        return torch.cat(embedded)

    def class_embeddings(self, class_names):
        prompts = []
        for name in class_names:
            prompts.extend(template.format(name) for template in PROMPT_TEMPLATES)
        embedded = self.texts(prompts, batch_size=256)
        return F.normalize(embedded.unflatten(0, (len(class_names), -1)).mean(dim=1), dim=-1, eps=1e-8)

    @staticmethod
    def recall_at(similarities, k):
        """A partner counts when fewer than k others score as high as it does."""
        partner = torch.diag(similarities).unsqueeze(1)
        rivals = similarities.ge(partner).sum(dim=1) - 1
        return rivals.lt(k).double().mean().item()

    def zero_shot(self, image_embeddings, labels, class_names):
        scores = image_embeddings @ self.class_embeddings(class_names).t()
        return scores.argmax(dim=1).cpu().eq(labels).double().mean().item()

    @torch.no_grad()
    def __call__(self, dataset):
        self.model.eval()
        image_embeddings = self.images(dataset["images"])
        similarities = image_embeddings @ self.texts(dataset["captions"]).t()
        results = {}
        for k in (1, 5, 10):
            results[f"i2t_r{k}"] = self.recall_at(similarities, k)
            results[f"t2i_r{k}"] = self.recall_at(similarities.t(), k)
        if "labels" in dataset:
            results["zero_shot"] = self.zero_shot(image_embeddings, dataset["labels"], dataset["classes"])
        return results
