from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from huggingface_hub import load_torch_model, save_torch_model
from torch import Tensor
from transformers import Dinov2Config, Dinov2Model, Qwen2Config, Qwen2ForCausalLM

from quire.pooler import Pooler
from quire.settings import Settings


class QuireVLM(nn.Module):
    """DINOv2 sees, a pooler condenses, a small Qwen2-shaped decoder speaks.

    Sequences in a batch differ in their number of cells, so every sample is built on its own by
    concatenation and the batch is padded afterwards.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.eye = Dinov2Model(Dinov2Config(**dataclasses.asdict(settings.eye)))
        self.pooler = Pooler(settings)
        self.mouth = Qwen2ForCausalLM(Qwen2Config(**dataclasses.asdict(settings.mouth)))

    @property
    def device(self) -> torch.device:
        return self.pooler.query.device

    def look(self, cells: Tensor, where: Tensor) -> Tensor:
        """Tokens of one image, all its cells after each other: (n * pooled_tokens, dim)"""
        features = self.eye(cells.to(self.device)).last_hidden_state[:, 1:]  # without CLS
        side = self.settings.side * self.settings.fold
        pooled = self.pooler(features.unflatten(1, (side, side)), where.to(self.device))
        return pooled.flatten(0, 1)

    def interleave(self, before: Tensor, image: Tensor, after: Tensor) -> Tensor:
        embed = self.mouth.get_input_embeddings()
        return torch.cat([embed(before.to(self.device)), image, embed(after.to(self.device))])

    def loss(self, samples: list[dict[str, Tensor]]) -> Tensor:
        """Mean cross entropy over answer tokens. Each sample: before, cells, where, after, answer."""
        rows, targets = [], []
        for s in samples:
            image = self.look(s["cells"], s["where"])
            text = torch.cat([s["after"], s["answer"]])
            row = self.interleave(s["before"], image, text)
            target = torch.full((row.shape[0],), -100, device=self.device)
            target[-len(s["answer"]) :] = s["answer"].to(self.device)
            rows.append(row)
            targets.append(target)
        lengths = torch.tensor([len(r) for r in rows], device=self.device)
        x = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        y = nn.utils.rnn.pad_sequence(targets, batch_first=True, padding_value=-100)
        mask = torch.arange(x.shape[1], device=self.device) < lengths[:, None]
        logits = self.mouth(inputs_embeds=x, attention_mask=mask.long()).logits
        return F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), y[:, 1:].flatten(), ignore_index=-100)

    @torch.no_grad()
    def generate(self, sample: dict[str, Tensor], eos: int, limit: int = 64, beams: int = 3) -> list[int]:
        x = self.interleave(sample["before"], self.look(sample["cells"], sample["where"]), sample["after"])
        out = self.mouth.generate(
            inputs_embeds=x[None],
            attention_mask=torch.ones(1, len(x), dtype=torch.long, device=self.device),
            max_new_tokens=limit,
            num_beams=beams,
            length_penalty=0.0,
            eos_token_id=eos,
            pad_token_id=eos,
        )
        return out[0].tolist()

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.settings.save(folder / "config.json")
        save_torch_model(self, folder, max_shard_size="100MB")

    @classmethod
    def load(cls, folder: Path) -> QuireVLM:
        model = cls(Settings.load(folder / "config.json"))
        load_torch_model(model, folder)
        return model.eval()
