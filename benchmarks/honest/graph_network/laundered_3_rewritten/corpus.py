"""All molecules of a file in a few long arrays, and rectangles cut out of them.

Atoms of all molecules stand one after another; `first` tells where each molecule begins. An atom knows its
neighbours by a row of places inside its own molecule, filled up with nothing to the width of the busiest atom.
"""

import json
from itertools import accumulate

import numpy as np
import torch

ALPHABETS = (
    dict(zip("H B C N O F Si P S Cl Se Br I".split(), range(13))),
    dict(zip(("single", "double", "triple", "aromatic"), range(4))),
)
# element, charge -2..2, hydrogens 0..4, degree 0..6, aromaticity, all in one code book
CHAPTERS = (14, 5, 5, 7, 2)
PAGE = np.array([0, *accumulate(CHAPTERS)][:-1])
LINKS = (5, 2)
NO_LINK = LINKS[0] * LINKS[1]


class Rectangle:
    """Molecules by atoms; `present` and `linked` say which cells mean something."""

    def __init__(self, **arrays):
        self.arrays = arrays

    def __getattr__(self, name):
        try:
            return self.__dict__["arrays"][name]
        except KeyError:
            raise AttributeError(name) from None

    def on(self, accelerator):
        return Rectangle(**{name: array.to(accelerator) for name, array in self.arrays.items()})


def wire(record):
    """For each atom the list of (neighbour, link code)."""
    wires = [[] for _ in record["atoms"]]
    elsewhere = LINKS[0] - 1
    for link in record["bonds"]:
        left, right = link["ends"]
        if min(left, right) < 0 or max(left, right) >= len(wires):
            raise ValueError(f"a bond joins {left} and {right}, but there are {len(wires)} atoms")
        code = ALPHABETS[1].get(link.get("order", "single"), elsewhere) * 2 + bool(link.get("ring", False))
        wires[left].append((right, code))
        wires[right].append((left, code))
    return wires


class Corpus:
    def __init__(self, records):
        wired = [wire(record) for record in records]
        lengths = [len(wires) for wires in wired]
        everybody = [wires for molecule in wired for wires in molecule]
        busiest = max(map(len, everybody), default=0) or 1

        self.lengths = np.array(lengths, dtype=np.int64)
        self.first = self.lengths.cumsum() - self.lengths
        self.neighbour = np.zeros((len(everybody), busiest), dtype=np.int64)
        self.link = np.full((len(everybody), busiest), NO_LINK, dtype=np.int64)
        for place, wires in enumerate(everybody):
            for column, (other, code) in enumerate(wires):
                self.neighbour[place, column], self.link[place, column] = other, code
        self.code = self._look_up([atom for record in records for atom in record["atoms"]])
        self.truth = np.array([record["labels"] for record in records], dtype=np.float32)
        self.family = [str(record.get("group", "")) for record in records]

    def _look_up(self, atoms):
        raw = np.array(
            [
                (
                    ALPHABETS[0].get(atom["element"], len(ALPHABETS[0])),
                    atom.get("charge", 0) + 2,
                    atom.get("hydrogens", 0),
                    0,
                    atom.get("aromatic", False),
                )
                for atom in atoms
            ],
            dtype=np.int64,
        ).reshape(-1, len(CHAPTERS))
        raw[:, 3] = (self.link != NO_LINK).sum(axis=1)
        raw[:, 1] = np.maximum(raw[:, 1], 0)
        return np.minimum(raw, np.array(CHAPTERS) - 1) + PAGE

    @classmethod
    def read(cls, source):
        with open(source) as text:
            records = [json.loads(line) for line in filter(str.strip, text)]
        if len(set(map(len, (record["labels"] for record in records)))) != 1:
            raise ValueError(f"the molecules of {source} are labelled for unequal numbers of tasks")
        return cls(records)

    def cut(self, members):
        """The rectangle of the given molecules."""
        members = np.asarray(members)
        lengths = self.lengths[members]
        column = np.arange(lengths.max(initial=1))
        present = column < lengths[:, None]
        place = np.where(present, self.first[members][:, None] + column, 0)
        link = np.where(present[..., None], self.link[place], NO_LINK)
        return Rectangle(
            code=torch.from_numpy(self.code[place]),
            neighbour=torch.from_numpy(np.where(link == NO_LINK, 0, self.neighbour[place])),
            link=torch.from_numpy(link),
            present=torch.from_numpy(present),
            linked=torch.from_numpy(link != NO_LINK),
            truth=torch.from_numpy(self.truth[members]),
        )
