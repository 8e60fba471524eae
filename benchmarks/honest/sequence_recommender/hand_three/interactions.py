"""Reading interaction logs and turning them into padded training arrays.

A log is a delimited text file whose first columns are user, item and,
optionally, a timestamp (in the last column used). Item id 0 means "no item".
"""
import csv
from collections import defaultdict
from dataclasses import dataclass

import numpy as np


@dataclass
class Dataset:
    histories: list      # one int array per user, oldest first
    item_names: list     # item_names[i] is the raw id of item i; entry 0 is padding

    @property
    def n_items(self):
        return len(self.item_names) - 1


def read_log(path, sep="\t", header=False, time_column=-1, min_count=5):
    events = defaultdict(list)
    with open(path, newline="") as f:
        rows = csv.reader(f, delimiter=sep)
        if header:
            next(rows)
        for order, row in enumerate(rows):
            if len(row) < 2:
                continue
            when = float(row[time_column]) if len(row) > 2 else float(order)
            events[row[0]].append((when, order, row[1]))
    events = prune(events, min_count)

    index, names, histories = {}, ["<pad>"], []
    for user in sorted(events):
        history = []
        for _, _, item in sorted(events[user]):
            if item not in index:
                index[item] = len(names)
                names.append(item)
            history.append(index[item])
        histories.append(np.array(history, np.int32))
    if not histories:
        raise ValueError(f"nothing left of {path} after filtering at min_count={min_count}")
    return Dataset(histories, names)


def prune(events, min_count):
    """Drop rare users and items until nothing more has to go."""
    min_length = max(min_count, 3)  # leave-one-out needs train, valid and test
    while True:
        popularity = defaultdict(int)
        for seq in events.values():
            for _, _, item in seq:
                popularity[item] += 1
        kept = {}
        for user, seq in events.items():
            seq = [e for e in seq if popularity[e[2]] >= min_count]
            if len(seq) >= min_length:
                kept[user] = seq
        if sum(map(len, kept.values())) == sum(map(len, events.values())):
            return kept
        events = kept


def pad_left(seq, length):
    row = np.zeros(length, np.int32)
    tail = seq[-length:]
    if len(tail):
        row[length - len(tail):] = tail
    return row


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
        train = [h[:-2] for h in dataset.histories]
        train = [h for h in train if len(h) > 1]
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
