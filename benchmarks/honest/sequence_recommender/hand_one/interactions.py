"""Turns an interaction log into per-user item sequences.

The log is a delimited text file whose first columns are user, item and timestamp (other columns
are allowed, e.g. `user,item,time,rating`; select them with `columns`).
"""
import csv
from collections import Counter, defaultdict

import numpy as np
import torch
from torch.utils.data import Dataset


def read_log(path, delimiter=",", columns=(0, 1, 2), header=True):
    events = []
    with open(path, newline="", encoding="utf-8") as f:
        rows = csv.reader(f, delimiter=delimiter)
        if header:
            next(rows)
        for row in rows:
            user, item, when = (row[c] for c in columns)
            events.append((user, item, float(when)))
    return events


def drop_rare(events, minimum):
    """Repeat until every remaining user and item has at least `minimum` events."""
    while True:
        users = Counter(e[0] for e in events)
        items = Counter(e[1] for e in events)
        kept = [e for e in events if users[e[0]] >= minimum and items[e[1]] >= minimum]
        if len(kept) == len(events):
            return kept
        events = kept


class Interactions:
    """Sequences of item numbers 1..num_items; 0 is padding.

    Leave-one-out: the last item of a user is the test item, the one before it validation.
    """

    def __init__(self, events, minimum=5):
        events = sorted(drop_rare(events, max(minimum, 3)), key=lambda e: e[2])
        self.item_ids = {}
        sequences = defaultdict(list)
        for user, item, _ in events:
            sequences[user].append(self.item_ids.setdefault(item, len(self.item_ids) + 1))
        self.num_items = len(self.item_ids)
        self.sequences = list(sequences.values())

    def training(self):
        return [s[:-2] for s in self.sequences]

    def heldout(self, split):
        """List of (history, answer) for "valid" or "test"."""
        cut = {"valid": -2, "test": -1}[split]
        return [(s[:cut], s[cut]) for s in self.sequences]


def pad_left(seq, length):
    out = np.zeros(length, dtype=np.int64)
    tail = seq[-length:]
    if tail:
        out[-len(tail):] = tail
    return out


class NextItemDataset(Dataset):
    """Each example: inputs, the next item at each position, and a random item the user never took."""

    def __init__(self, sequences, num_items, max_len):
        self.sequences = [s for s in sequences if 1 < len(s) and len(set(s)) < num_items]
        self.seen = [set(s) for s in self.sequences]
        self.num_items, self.max_len = num_items, max_len

    def __len__(self):
        return len(self.sequences)

    def __getitem__(self, i):
        seq = self.sequences[i]
        inputs = pad_left(seq[:-1], self.max_len)
        positive = pad_left(seq[1:], self.max_len)
        negative = np.zeros_like(positive)
        for t in np.flatnonzero(positive):
            draw = int(torch.randint(1, self.num_items + 1, ()))
            while draw in self.seen[i]:
                draw = int(torch.randint(1, self.num_items + 1, ()))
            negative[t] = draw
        return inputs, positive, negative
