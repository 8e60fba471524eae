"""Instruction data: JSON lines in, token ids with prompt-masked labels out."""
import json

import torch
from torch.utils.data import Dataset

IGNORE = -100


class ByteTokenizer:
    """UTF-8 bytes plus three specials. Anything with the same attributes can replace it."""
    pad_id, bos_id, eos_id, vocab_size = 0, 1, 2, 259

    def encode(self, text):
        return [b + 3 for b in text.encode("utf-8")]

    def decode(self, ids):
        return bytes(i - 3 for i in ids if i >= 3).decode("utf-8", errors="replace")


def build_prompt(instruction, extra=""):
    middle = f"### Input:\n{extra}\n\n" if extra else ""
    return f"### Instruction:\n{instruction}\n\n{middle}### Response:\n"


class InstructionDataset(Dataset):
    def __init__(self, path, tokenizer, max_len=512):
        with open(path, encoding="utf-8") as f:
            rows = [json.loads(line) for line in f if line.strip()]
        self.examples = []
        for row in rows:
            prompt = build_prompt(row["instruction"], row.get("input", ""))
            head = [tokenizer.bos_id] + tokenizer.encode(prompt)
            tail = tokenizer.encode(row["output"]) + [tokenizer.eos_id]
            if len(head) < max_len:  # otherwise nothing of the answer is left to learn
                labels = [IGNORE] * len(head) + tail
                self.examples.append(((head + tail)[:max_len], labels[:max_len]))

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, i):
        return self.examples[i]


def make_collator(pad_id, multiple=8):
    def collate(batch):
        width = -(-max(len(ids) for ids, _ in batch) // multiple) * multiple
        ids = torch.full((len(batch), width), pad_id)
        labels = torch.full((len(batch), width), IGNORE)
        real = torch.zeros(len(batch), width, dtype=torch.bool)
        for row, (x, y) in enumerate(batch):
            ids[row, :len(x)] = torch.tensor(x)
            labels[row, :len(y)] = torch.tensor(y)
            real[row, :len(x)] = True
        return ids, labels, real
    return collate
