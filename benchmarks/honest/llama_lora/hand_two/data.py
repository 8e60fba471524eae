"""Instruction data: JSON lines -> prompt template -> token ids with masked labels."""
import json

import torch
from torch.utils.data import Dataset

IGNORE = -100


class ByteTokenizer:
    """Dependency-free stand-in; anything with encode/decode and these ids will do."""
    pad_id, bos_id, eos_id, vocab_size = 0, 1, 2, 259

    def encode(self, text):
        return [b + 3 for b in text.encode("utf-8")]

    def decode(self, ids):
        return bytes(i - 3 for i in ids if i >= 3).decode("utf-8", errors="replace")


def build_prompt(instruction, context=""):
    middle = f"### Input:\n{context}\n\n" if context else ""
    return f"### Instruction:\n{instruction}\n\n{middle}### Response:\n"


class InstructionDataset(Dataset):
    def __init__(self, path, tok, max_len=512):
        self.examples = []
        with open(path, encoding="utf-8") as fh:
            records = [json.loads(line) for line in fh if line.strip()]
        for rec in records:
            prompt = [tok.bos_id] + tok.encode(build_prompt(rec["instruction"], rec.get("input", "")))
            answer = tok.encode(rec["output"]) + [tok.eos_id]
            if len(prompt) >= max_len:  # nothing of the answer would be left to learn from
                continue
            labels = [IGNORE] * len(prompt) + answer
            self.examples.append(((prompt + answer)[:max_len], labels[:max_len]))

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, i):
        return self.examples[i]


class PadCollator:
    """Right-pads to the longest example, rounded up to a multiple."""

    def __init__(self, pad_id, multiple=8):
        self.pad_id, self.multiple = pad_id, multiple

    def __call__(self, batch):
        width = -(-max(len(ids) for ids, _ in batch) // self.multiple) * self.multiple
        tokens = torch.full((len(batch), width), self.pad_id)
        labels = torch.full((len(batch), width), IGNORE)
        mask = torch.zeros(len(batch), width, dtype=torch.long)
        for row, (ids, labs) in enumerate(batch):
            tokens[row, :len(ids)] = torch.tensor(ids)
            labels[row, :len(labs)] = torch.tensor(labs)
            mask[row, :len(ids)] = 1
        return {"tokens": tokens, "labels": labels, "attention_mask": mask}
