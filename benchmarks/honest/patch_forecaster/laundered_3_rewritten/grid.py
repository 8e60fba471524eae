"""The observations: one matrix, time downwards, and the places in it where an example may begin.

Nothing is ever copied out into pieces. The three stages (learn, check, judge)
are three ranges of row numbers over the same matrix, and an example is a row
number.
"""
import csv
import math

import torch


def number(text):
    try:
        return float(text)
    except ValueError:
        return math.nan


def mended(readings):
    """Yield the readings with each hole plugged by whatever came last before it."""
    known = next((r for r in readings if r == r), None)
    if known is None:
        raise ValueError("no readings at all")
    for r in readings:
        known = r if r == r else known
        yield known


def open_sheet(path):
    with open(path, newline="") as stream:
        (_, *labels), *lines = csv.reader(stream)
    by_label = []
    for j, label in enumerate(labels, start=1):
        readings = [number(line[j]) for line in lines if line]
        try:
            by_label.append(list(mended(readings)))
        except ValueError as why:
            raise ValueError(f"{path}, {label}: {why}") from None
    return labels, torch.tensor(by_label, dtype=torch.float64).T.contiguous()


class Grid:
    STAGES = ("learn", "check", "judge")

    def __init__(self, path, memory, reach, learn=0.7, check=0.1):
        self.labels, raw = open_sheet(path)
        total = raw.shape[0]
        first, second = math.floor(total * learn), math.floor(total * (learn + check))
        if memory > first:
            raise ValueError(f"{path}: memory of {memory} exceeds the {first} rows to learn from")

        # moments of the rows to learn from; a flat line keeps its unit
        self.mu = raw[:first].sum(0) / first
        second_moment = (raw[:first] - self.mu).square().sum(0) / first
        sigma = second_moment.sqrt()
        self.sigma = sigma.masked_fill(sigma < 1e-8, 1.0)
        self.rows = ((raw - self.mu) / self.sigma).float()

        self.memory, self.reach, self.learn_rows = memory, reach, first
        # row of the earliest thing to predict, and the row after the latest
        spans = (memory, first), (first, second), (second, total)
        self.begins = {}
        for stage, (earliest, end) in zip(self.STAGES, spans):
            begins = torch.arange(earliest - memory, max(earliest - memory, end - reach - memory + 1))
            if not len(begins):
                raise ValueError(f"{path}: no room for a {stage} example of {memory} + {reach} rows")
            self.begins[stage] = begins

    def draw(self, stage, amount, device, mixed=False):
        """Yield (seen, unseen) of one stage. A mixed pass never ends on a smaller batch than the rest."""
        begins = self.begins[stage]
        if mixed:
            begins = begins[torch.randperm(len(begins))]
            begins = begins[: self.turns(stage, amount) * amount]
        ruler = torch.arange(self.memory + self.reach)
        for some in begins.split(amount):
            block = self.rows[some[:, None] + ruler].to(device)
            yield block[:, : self.memory], block[:, self.memory:]

    def turns(self, stage, amount):
        return max(1, len(self.begins[stage]) // amount)

    def jumpiness(self, cycle):
        """Typical size of the change over one cycle, label by label."""
        learnt = self.rows[: self.learn_rows]
        moved = learnt[cycle:] - learnt.roll(cycle, dims=0)[cycle:]
        return (torch.linalg.vector_norm(moved, ord=1, dim=0) / len(moved)).clamp_min(1e-8)
