"""Instruction pairs as numpy batches: JSON lines in, tokens and masked targets out."""
import json

import numpy as np

MASKED = -100


class ByteVocab:
    """Raw UTF-8 bytes behind three special tokens."""
    pad_token, start_token, stop_token, num_tokens = 0, 1, 2, 259

    def to_tokens(self, text):
        return [byte + 3 for byte in text.encode("utf-8")]

    def to_text(self, tokens):
        return bytes(t - 3 for t in tokens if t >= 3).decode("utf-8", errors="replace")


def render_prompt(task, details=""):
    section = f"### Input:\n{details}\n\n" if details else ""
    return f"### Instruction:\n{task}\n\n{section}### Response:\n"


class InstructionTable:
    def __init__(self, path, vocab, max_tokens=512):
        with open(path, encoding="utf-8") as f:
            entries = [json.loads(line) for line in f if line.strip()]
        self.items = []
        for entry in entries:
            prompt = render_prompt(entry["instruction"], entry.get("input", ""))
            front = [vocab.start_token] + vocab.to_tokens(prompt)
            back = vocab.to_tokens(entry["output"]) + [vocab.stop_token]
            if len(front) < max_tokens:  # else the answer would be cut off completely
                targets = [MASKED] * len(front) + back
                self.items.append(((front + back)[:max_tokens], targets[:max_tokens]))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def collate(items, pad_token, multiple=8):
    width = -(-max(len(tokens) for tokens, _ in items) // multiple) * multiple
    tokens = np.full((len(items), width), pad_token, dtype=np.int32)
    targets = np.full((len(items), width), MASKED, dtype=np.int32)
    is_token = np.zeros((len(items), width), dtype=bool)
    for row, (x, y) in enumerate(items):
        tokens[row, :len(x)] = x
        targets[row, :len(y)] = y
        is_token[row, :len(x)] = True
    return tokens, targets, is_token


class BatchLoader:
    """Shuffled batches of a table; every pass draws a new order."""

    def __init__(self, table, batch_size, pad_token, seed):
        self.table, self.batch_size, self.pad_token = table, batch_size, pad_token
        self.rng = np.random.default_rng(seed)

    def __len__(self):
        return -(-len(self.table) // self.batch_size)

    def __iter__(self):
        order = self.rng.permutation(len(self.table))
        for i in range(0, len(order), self.batch_size):
            items = [self.table[j] for j in order[i:i + self.batch_size]]
            yield collate(items, self.pad_token)
