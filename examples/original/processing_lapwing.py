"""From images and questions to a batch."""

import json
from pathlib import Path

import numpy as np
import torch
from transformers import BatchFeature

from .mosaic import make_mosaic

DEFAULT_QUESTION = "Tell me what is written here, as if to a colleague on the telephone."


class LapwingProcessor:
    def __init__(self, tokenizer, tile_edge=384, seam_pixels=32, tile_budget=8, patch_size=16,
                 latent_count=72, image_mean=(0.5, 0.5, 0.5), image_std=(0.5, 0.5, 0.5), **ignored):
        self.tokenizer = tokenizer
        self.tile_edge = tile_edge
        self.seam_pixels = seam_pixels
        self.tile_budget = tile_budget
        self.patch_size = patch_size
        self.latent_count = latent_count
        self.image_mean = np.asarray(image_mean, dtype=np.float32)
        self.image_std = np.asarray(image_std, dtype=np.float32)

    @classmethod
    def from_folder(cls, folder, tokenizer):
        settings = json.loads((Path(folder) / "preprocessor_config.json").read_text())
        return cls(tokenizer, **settings)

    def to_tensor(self, picture):
        pixels = np.asarray(picture, dtype=np.float32) / 255.0
        pixels = (pixels - self.image_mean) / self.image_std
        return torch.from_numpy(pixels).permute(2, 0, 1)

    def describe_grid(self, grid):
        """The placeholders of one page: the overview, then the tiles, one line per row of the grid."""
        patches = "<|patch|>" * self.latent_count
        text = "<|page|>" + patches + "<|/page|>"
        cols, rows = grid
        if cols * rows == 1:
            return text
        for row in range(rows):
            text += f"<|row|>{row + 1}/{rows}"
            for _ in range(cols):
                text += "<|tile|>" + patches
            text += "\n"
        return text

    def prompt(self, grid, question):
        question = (question or DEFAULT_QUESTION).strip()
        return f"<|begin|>{self.describe_grid(grid)}<|question|>{question}<|answer|>"

    def __call__(self, images, questions, answers=None):
        """Padded on the left to answer, on the right to learn (when `answers` are given)."""
        texts, pictures, spots, live, is_tile = [], [], [], [], []
        for image, question in zip(images, questions):
            mosaic = make_mosaic(image, self.tile_budget, self.tile_edge, self.seam_pixels, self.patch_size)
            for number, picture in enumerate(mosaic.pictures):
                pictures.append(self.to_tensor(picture))
                is_tile.append(number > 0)
            spots.extend(mosaic.spots)
            live.extend(mosaic.live)
            texts.append(self.prompt(mosaic.grid, question))

        if answers is not None:
            texts = [text + answer.strip() + "<|end|>" for text, answer in zip(texts, answers)]
        self.tokenizer.padding_side = "left" if answers is None else "right"
        encoded = self.tokenizer(texts, add_special_tokens=False, padding=True, return_tensors="pt")

        batch = {
            "input_ids": encoded["input_ids"],
            "attention_mask": encoded["attention_mask"],
            "pixel_values": torch.stack(pictures),
            "spots": torch.tensor(spots, dtype=torch.float32),
            "live": torch.tensor(live, dtype=torch.long),
            "is_tile": torch.tensor(is_tile, dtype=torch.bool),
        }
        if answers is not None:
            batch["labels"] = self.mask_prompt(encoded["input_ids"], encoded["attention_mask"])
        return BatchFeature(batch)

    def mask_prompt(self, input_ids, attention_mask):
        """Labels: what comes after <|answer|>; everything else and the padding is -100."""
        is_answer = input_ids == self.tokenizer.answer_token_id
        after = is_answer.long().cumsum(dim=1) - is_answer.long()
        return input_ids.masked_fill((after == 0) | (attention_mask == 0), -100)
