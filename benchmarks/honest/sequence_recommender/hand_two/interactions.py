"""Reading interaction logs and turning them into padded sequences."""
import csv
import random
from collections import Counter, defaultdict

import torch
from torch.utils.data import Dataset

PAD = 0


class InteractionLog:
    """Per-user item sequences in time order; item ids run from 1 to num_items.

    The file has one `user, item, timestamp` row per interaction (further columns are ignored).
    The last item of each user is held out for testing, the one before for validation.
    """

    def __init__(self, path, delimiter=",", header=False, min_count=5):
        rows = []
        with open(path, newline="") as fh:
            reader = csv.reader(fh, delimiter=delimiter)
            if header:
                next(reader)
            for row in reader:
                if row:
                    rows.append((row[0], row[1], float(row[2])))
        rows = self._prune(rows, min_count)
        rows.sort(key=lambda r: r[2])

        self.item_index = {}
        histories = defaultdict(list)
        for user, item, _ in rows:
            idx = self.item_index.setdefault(item, len(self.item_index) + 1)
            histories[user].append(idx)
        self.users = sorted(histories)
        self.sequences = [histories[u] for u in self.users]
        self.num_items = len(self.item_index)

    @staticmethod
    def _prune(rows, min_count):
        """Drop rare users and items until every remaining one has min_count rows."""
        while True:
            users = Counter(r[0] for r in rows)
            items = Counter(r[1] for r in rows)
            kept = [r for r in rows if users[r[0]] >= min_count and items[r[1]] >= min_count]
            if len(kept) == len(rows):
                return kept
            rows = kept

    def training(self):
        return [s[:-2] if len(s) >= 3 else s for s in self.sequences]

    def held_out(self, split):
        """List of (history, answer) pairs for split "valid" or "test"."""
        cut = {"valid": 2, "test": 1}[split]
        return [(s[:-cut], s[-cut]) for s in self.sequences if len(s) >= 3]


def left_pad(seq, length):
    seq = seq[-length:]
    return [PAD] * (length - len(seq)) + list(seq)


class TrainSequences(Dataset):
    """(inputs, next items, random items the user never touched), all of equal length."""

    def __init__(self, log, max_len):
        self.sequences = [s for s in log.training() if len(s) > 1]
        self.seen = [set(s) for s in self.sequences]
        self.num_items, self.max_len = log.num_items, max_len

    def __len__(self):
        return len(self.sequences)

    def _negative(self, seen):
        if len(seen) >= self.num_items:
            raise ValueError("a user has interacted with every item, no negative exists")
        while True:
            item = random.randint(1, self.num_items)
            if item not in seen:
                return item

    def __getitem__(self, i):
        seq = self.sequences[i]
        inputs = left_pad(seq[:-1], self.max_len)
        positives = left_pad(seq[1:], self.max_len)
        negatives = [self._negative(self.seen[i]) if p != PAD else PAD for p in positives]
        return torch.tensor(inputs), torch.tensor(positives), torch.tensor(negatives)


class EvalSequences(Dataset):
    def __init__(self, log, split, max_len):
        self.pairs = log.held_out(split)
        self.max_len = max_len

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, i):
        history, answer = self.pairs[i]
        return torch.tensor(left_pad(history, self.max_len)), answer, history


def eval_collate(batch):
    inputs, answers, histories = zip(*batch)
    return torch.stack(inputs), torch.tensor(answers), histories
