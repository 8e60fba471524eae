"""Text files as piece numbers, random batches of them, and perplexity over all of one."""

import math

import numpy as np
import torch


class Corpus:
    def __init__(self, path, pieces):
        self.path = path
        with open(path, encoding="utf-8", errors="replace") as text:
            numbers = pieces.encode(text.read(), add_start=True, add_stop=True)
        self.numbers = np.asarray(numbers, dtype=np.int32)

    def __len__(self):
        return self.numbers.shape[0]

    def cut(self, starts, length):
        rows = np.stack([self.numbers[start : start + length + 1] for start in starts])
        return torch.as_tensor(rows, dtype=torch.int64)

    def batch(self, generator, rows, length):
        """Two tensors (rows, length): pieces and the pieces that follow them."""
        starts = generator.integers(low=0, high=len(self) - length, size=rows)
        cut = self.cut(starts, length)
        return cut[:, :-1], cut[:, 1:]

    def overlapping(self, length, stride):
        """Starts of all windows; the last one ends where the text does."""
        last = len(self) - length - 1
        yield from range(0, last, stride)
        yield last


def measure_perplexity(model, corpus, stride, device, rows=8):
    """Perplexity with sliding windows, in which each piece counts in the first window that reaches it."""
    length = min(len(corpus) - 1, model.settings.window)
    if stride <= 0 or stride > length:
        raise ValueError(f"a stride of {stride} is not in 1..{length}")

    starts = list(corpus.overlapping(length, stride))
    nats, pieces, covered = 0.0, 0, 0
    with torch.no_grad():
        while starts:
            now, starts = starts[:rows], starts[rows:]
            cut = corpus.cut(now, length).to(device)
            following = cut[:, 1:].clone()
            for row, start in zip(following, now):
                if covered > start:
                    row[: covered - start] = -1
                covered = start + length
            nats += model.losses(cut[:, :-1], following).sum().item()
            pieces += torch.count_nonzero(following != -1).item()
    return math.exp(nats / pieces)
