"""Molecules as integer arrays, batches as one big disconnected graph, and the two ways to split a set.

A molecule is a dict, one JSON object per line:

    {"atoms": [{"element": "C", "charge": 0, "hydrogens": 3, "aromatic": false}, ...],
     "bonds": [{"ends": [0, 1], "order": "single", "ring": false}, ...],
     "labels": [1, null, 0],
     "group": "c1ccccc1"}

Index conventions: n atoms, m directed bonds, G molecules, T tasks.
"""

import json
from collections import defaultdict
from typing import NamedTuple

import numpy as np
import torch

ELEMENTS = ["H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Se", "Br", "I"]
ORDERS = ["single", "double", "triple", "aromatic"]
CHARGES = (-2, 2)
MAX_H = 4
MAX_DEGREE = 6

# number of values per column; the last element and order slot means "anything else"
ATOM_SIZES = (len(ELEMENTS) + 1, CHARGES[1] - CHARGES[0] + 1, MAX_H + 1, MAX_DEGREE + 1, 2)
BOND_SIZES = (len(ORDERS) + 1, 2)


class Graph(NamedTuple):
    atoms: torch.Tensor  # (n, 5) int
    ends: torch.Tensor  # (2, m) int, row 0 sends to row 1
    bonds: torch.Tensor  # (m, 2) int
    labels: torch.Tensor  # (T,) float, nan where unknown
    group: str


class Batch(NamedTuple):
    atoms: torch.Tensor  # (n, 5)
    ends: torch.Tensor  # (2, m)
    bonds: torch.Tensor  # (m, 2)
    owner: torch.Tensor  # (n,) molecule of each atom
    labels: torch.Tensor  # (G, T)

    def to(self, device):
        return Batch(*(t.to(device) for t in self))


def slot(value, table):
    return table.index(value) if value in table else len(table)


def featurise(mol):
    n = len(mol["atoms"])
    ij = np.array([b["ends"] for b in mol["bonds"]], dtype=np.int64).reshape(-1, 2)
    if ij.size and (ij.min() < 0 or ij.max() >= n):
        raise ValueError(f"bond refers to an atom outside 0..{n - 1}")
    degree = np.bincount(ij.ravel(), minlength=n)
    lo, hi = CHARGES
    atoms = [
        (
            slot(a["element"], ELEMENTS),
            min(max(a.get("charge", 0), lo), hi) - lo,
            min(a.get("hydrogens", 0), MAX_H),
            min(int(d), MAX_DEGREE),
            int(a.get("aromatic", False)),
        )
        for a, d in zip(mol["atoms"], degree)
    ]
    bonds = [(slot(b.get("order", "single"), ORDERS), int(b.get("ring", False))) for b in mol["bonds"]]
    bonds = torch.tensor(bonds, dtype=torch.long).reshape(-1, 2)
    ij = torch.from_numpy(ij).T
    return Graph(
        atoms=torch.tensor(atoms, dtype=torch.long).reshape(-1, 5),
        ends=torch.cat([ij, ij.flip(0)], dim=1),  # both directions
        bonds=torch.cat([bonds, bonds]),
        labels=torch.tensor([float("nan") if y is None else float(y) for y in mol["labels"]]),
        group=str(mol.get("group", "")),
    )


def load(path):
    with open(path) as f:
        graphs = [featurise(json.loads(line)) for line in f if line.strip()]
    if len({len(g.labels) for g in graphs}) != 1:
        raise ValueError(f"{path}: every molecule needs the same number of labels")
    return graphs


def collate(graphs):
    n = torch.tensor([len(g.atoms) for g in graphs])
    start = n.cumsum(0) - n
    return Batch(
        atoms=torch.cat([g.atoms for g in graphs]),
        ends=torch.cat([g.ends + s for g, s in zip(graphs, start)], dim=1),
        bonds=torch.cat([g.bonds for g in graphs]),
        owner=torch.arange(len(graphs)).repeat_interleave(n),
        labels=torch.stack([g.labels for g in graphs]),
    )


def batches(graphs, size, rng=None):
    """Yield batches; in random order when a numpy Generator is given."""
    order = np.arange(len(graphs)) if rng is None else rng.permutation(len(graphs))
    for k in range(0, len(order), size):
        yield collate([graphs[i] for i in order[k : k + size]])


def split_random(graphs, fractions, rng):
    cuts = np.cumsum(np.array(fractions[:-1]) * len(graphs)).round().astype(int)
    return [[graphs[i] for i in part] for part in np.split(rng.permutation(len(graphs)), cuts)]


def split_by_group(graphs, fractions, rng):
    """No group in two parts. Big groups are placed first, each into the part that lacks most."""
    members = defaultdict(list)
    for i, g in enumerate(graphs):
        members[g.group or f"#{i}"].append(i)
    keys = list(members)
    keys = sorted((keys[k] for k in rng.permutation(len(keys))), key=lambda k: -len(members[k]))
    room = np.array(fractions, dtype=float) * len(graphs)
    parts = [[] for _ in fractions]
    for key in keys:
        p = int(room.argmax())
        parts[p] += [graphs[i] for i in members[key]]
        room[p] -= len(members[key])
    return parts
