from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor

from quire.canvas import paint
from quire.settings import Settings

TEMPLATE = "[CLS] question: {question} document: <image> answer:"


class QuestionSet:
    """A CSV file with the columns image, question, answer; images are relative to it.

    Several accepted answers are separated by a vertical bar, the first is learned.
    """

    def __init__(self, path: Path, tokenizer: Tokenizer, settings: Settings) -> None:
        self.folder = path.parent
        self.tokenizer = tokenizer
        self.settings = settings
        with path.open(newline="", encoding="utf-8") as f:
            self.rows = list(csv.DictReader(f))

    def __len__(self) -> int:
        return len(self.rows)

    def ids(self, text: str) -> Tensor:
        return torch.tensor(self.tokenizer.encode(text, add_special_tokens=False).ids, dtype=torch.long)

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        row = self.rows[i]
        left, right = TEMPLATE.format(question=row["question"]).split(self.settings.image_token)
        with Image.open(self.folder / row["image"]) as image:
            canvas = paint(image, self.settings.cell, self.settings.max_cells)
        return {
            "before": self.ids(left),
            "after": self.ids(right),
            "answer": self.ids(row["answer"].split("|")[0] + " [SEP]"),
            "cells": canvas.cells,
            "where": canvas.where,
        }

    def accepted(self, i: int) -> Iterator[str]:
        yield from (a.strip() for a in self.rows[i]["answer"].split("|"))
