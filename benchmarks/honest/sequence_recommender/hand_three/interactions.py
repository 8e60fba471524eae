"""Interaction logs (user, item[, ..., timestamp]) to padded arrays; item 0 is padding."""
import csv
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np


@dataclass
class Dataset:
    histories: list  # one int array per user, oldest first
    n_items: int     # ids run from 1 to n_items


def read_log(path, sep="\t", header=False, min_count=5):
    events = defaultdict(list)
    with open(path, newline="") as f:
        rows = csv.reader(f, delimiter=sep)
        if header:
            next(rows)
        for order, row in enumerate(rows):
            if len(row) < 2:
                continue
            when = float(row[-1]) if len(row) > 2 else float(order)
            events[row[0]].append((when, order, row[1]))
    events = prune(events, min_count)

    index, histories = {}, []
    for user in sorted(events):
        items = [item for _, _, item in sorted(events[user])]
        histories.append(np.array([index.setdefault(i, len(index) + 1) for i in items]))
    return Dataset(histories, len(index))


def prune(events, min_count):
    """Drop rare users and items until nothing more has to go."""
    min_length = max(min_count, 3)  # leave-one-out needs train, valid and test
    while True:
        popularity = Counter(item for seq in events.values() for _, _, item in seq)
        kept = {}
        for user, seq in events.items():
            seq = [e for e in seq if popularity[e[2]] >= min_count]
            if len(seq) >= min_length:
                kept[user] = seq
        if kept == events:
            return kept
        events = kept


def pad_left(seq, length):
    tail = seq[-length:]
    return np.pad(tail, (length - len(tail), 0)).astype(np.int32)


def holdout(dataset, split, length):
    """Inputs, targets and already-seen items for the 'valid' or 'test' split."""
    cut = {"valid": -2, "test": -1}[split]
    inputs = np.stack([pad_left(h[:cut], length) for h in dataset.histories])
    targets = np.array([h[cut] for h in dataset.histories], np.int32)
    seen = [np.unique(h[:cut]) for h in dataset.histories]
    return inputs, targets, seen


class TrainBatches:
    """Shuffled batches of (input, positive, negative), negatives drawn afresh each epoch."""

    def __init__(self, dataset, length, batch_size, seed=0):
        self.n_items = dataset.n_items
        self.batch_size = batch_size
        self.rng = np.random.default_rng(seed)
        train = [h[:-2] for h in dataset.histories if len(h) > 3]
        self.owned = [np.unique(h) for h in train]
        self.inputs = np.stack([pad_left(h[:-1], length) for h in train])
        self.positives = np.stack([pad_left(h[1:], length) for h in train])

    def negatives(self, rows):
        out = self.rng.integers(1, self.n_items + 1, (len(rows), self.inputs.shape[1]))
        for line, row in zip(out, rows):
            if len(self.owned[row]) >= self.n_items:
                continue
            clash = np.isin(line, self.owned[row])
            while clash.any():
                line[clash] = self.rng.integers(1, self.n_items + 1, clash.sum())
                clash = np.isin(line, self.owned[row])
        return out.astype(np.int32)

    def __iter__(self):
        order = self.rng.permutation(len(self.inputs))
        # top up the last batch so that every batch compiles to the same shape
        order = np.resize(order, -(-len(order) // self.batch_size) * self.batch_size)
        for rows in order.reshape(-1, self.batch_size):
            yield self.inputs[rows], self.positives[rows], self.negatives(rows)
