# All lessons lie end to end in one long tensor; a lesson is three numbers: where it begins,
# how long it is, and at which of its tokens the answer starts.
import json
from pathlib import Path

import torch

BLANK, OPEN, CLOSE = range(3)
VOCABULARY = 256 + 3


def spell_out(text):
    return torch.tensor(list(text.encode()), dtype=torch.long) + 3


def read_back(tokens):
    tokens = torch.as_tensor(tokens, dtype=torch.long)
    return bytearray((tokens[tokens > CLOSE] - 3).tolist()).decode(errors="replace")


def question(task, material=""):
    sections = {"Instruction": task}
    if material:
        sections["Input"] = material
    text = "".join(f"### {title}:\n{body}\n\n" for title, body in sections.items())
    return torch.cat((torch.tensor([OPEN]), spell_out(text + "### Response:\n")))


class Shelf:
    def __init__(self, file, longest=512):
        pieces, sizes, starts = [], [], []
        for line in Path(file).read_text(encoding="utf-8").split("\n"):
            if not line.strip():
                continue
            lesson = json.loads(line)
            asked = question(lesson["instruction"], lesson.get("input", ""))
            if asked.numel() >= longest:
                continue
            piece = torch.cat((asked, spell_out(lesson["output"]), torch.tensor([CLOSE])))[:longest]
            pieces.append(piece)
            sizes.append(piece.numel())
            starts.append(asked.numel())
        self.tokens = torch.cat(pieces)
        self.sizes, self.starts = torch.tensor(sizes), torch.tensor(starts)
        self.begins = self.sizes.cumsum(0) - self.sizes

    def take(self, which):
        """tokens, their lengths, and which of the tokens belong to an answer"""
        sizes = self.sizes[which]
        column = torch.arange((int(sizes.max()) + 7) // 8 * 8).unsqueeze(0)
        there = column < sizes.unsqueeze(1)
        place = (self.begins[which].unsqueeze(1) + column) * there
        tokens = self.tokens[place].masked_fill(~there, BLANK)
        return tokens, sizes, there & (column >= self.starts[which].unsqueeze(1))

    def shuffled(self, rows, handfuls):
        """One epoch: lists of up to `handfuls` index tensors of up to `rows` lessons."""
        order = torch.randperm(self.sizes.numel())
        for portion in order.split(rows * handfuls):
            yield portion.split(rows)

    def answer_tokens(self, portion):
        which = torch.cat(portion)
        return int((self.sizes[which] - self.starts[which]).sum())
