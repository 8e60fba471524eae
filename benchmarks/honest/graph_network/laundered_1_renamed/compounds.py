"""Reading compounds from disk, packing several of them together and dividing a collection.

Each line of the input is a JSON record with the keys "atoms", "bonds", "labels" and "group".
Atoms carry element, charge, hydrogens and aromatic; bonds carry ends, order and ring. A label
that was never measured is null.
"""

import json
from collections import defaultdict
from typing import NamedTuple

import numpy as np
import torch

SYMBOLS = [
    "H",
    "B",
    "C",
    "N",
    "O",
    "F",
    "Si",
    "P",
    "S",
    "Cl",
    "Se",
    "Br",
    "I",
]
BOND_KINDS = [
    "single",
    "double",
    "triple",
    "aromatic",
]
CHARGE_RANGE = (-2, 2)
HYDROGEN_LIMIT = 4
NEIGHBOUR_LIMIT = 6

# Vocabulary lengths of the node and edge columns (unknown symbols and kinds get a place of their own).
NODE_VOCAB = (
    len(SYMBOLS) + 1,
    CHARGE_RANGE[1] - CHARGE_RANGE[0] + 1,
    HYDROGEN_LIMIT + 1,
    NEIGHBOUR_LIMIT + 1,
    2,
)
EDGE_VOCAB = (
    len(BOND_KINDS) + 1,
    2,
)


class Compound(NamedTuple):
    node_feats: torch.Tensor
    edge_index: torch.Tensor
    edge_feats: torch.Tensor
    targets: torch.Tensor
    scaffold: str


class PackedCompounds(NamedTuple):
    node_feats: torch.Tensor
    edge_index: torch.Tensor
    edge_feats: torch.Tensor
    graph_id: torch.Tensor
    targets: torch.Tensor

    def to(self, where):
        return PackedCompounds(*(field.to(where) for field in self))


def position_or_last(item, vocabulary):
    return vocabulary.index(item) if item in vocabulary else len(vocabulary)


def encode_compound(record):
    num_nodes = len(record["atoms"])
    pairs = np.array(
        [edge["ends"] for edge in record["bonds"]],
        dtype=np.int64,
    ).reshape(-1, 2)
    if pairs.size and (pairs.min() < 0 or pairs.max() >= num_nodes):
        raise ValueError(f"an edge points at a node that is not in 0..{num_nodes - 1}")
    neighbours = np.bincount(pairs.ravel(), minlength=num_nodes)
    lowest, highest = CHARGE_RANGE
    node_rows = [
        (
            position_or_last(node["element"], SYMBOLS),
            min(max(node.get("charge", 0), lowest), highest) - lowest,
            min(node.get("hydrogens", 0), HYDROGEN_LIMIT),
            min(int(count), NEIGHBOUR_LIMIT),
            int(node.get("aromatic", False)),
        )
        for node, count in zip(record["atoms"], neighbours)
    ]
    edge_rows = [
        (
            position_or_last(edge.get("order", "single"), BOND_KINDS),
            int(edge.get("ring", False)),
        )
        for edge in record["bonds"]
    ]
    edge_rows = torch.tensor(edge_rows, dtype=torch.long).reshape(-1, 2)
    pairs = torch.from_numpy(pairs).T
    return Compound(
        node_feats=torch.tensor(node_rows, dtype=torch.long).reshape(-1, 5),
        # every bond is walked forwards and backwards
        edge_index=torch.cat([pairs, pairs.flip(0)], dim=1),
        edge_feats=torch.cat([edge_rows, edge_rows]),
        targets=torch.tensor(
            [float("nan") if target is None else float(target) for target in record["labels"]]
        ),
        scaffold=str(record.get("group", "")),
    )


def read_compounds(filename):
    with open(filename) as handle:
        compounds = [
            encode_compound(json.loads(row)) for row in handle if row.strip()
        ]
    if len({len(compound.targets) for compound in compounds}) != 1:
        raise ValueError(f"{filename}: the number of targets differs between compounds")
    return compounds


def pack(compounds):
    counts = torch.tensor([len(compound.node_feats) for compound in compounds])
    shift = counts.cumsum(0) - counts
    return PackedCompounds(
        node_feats=torch.cat([compound.node_feats for compound in compounds]),
        edge_index=torch.cat(
            [compound.edge_index + by for compound, by in zip(compounds, shift)],
            dim=1,
        ),
        edge_feats=torch.cat([compound.edge_feats for compound in compounds]),
        graph_id=torch.arange(len(compounds)).repeat_interleave(counts),
        targets=torch.stack([compound.targets for compound in compounds]),
    )


def iterate_packs(compounds, pack_size, generator=None):
    """Go through the collection in packs, shuffled if there is a generator to shuffle with."""
    sequence = (
        np.arange(len(compounds)) if generator is None else generator.permutation(len(compounds))
    )
    for first in range(0, len(sequence), pack_size):
        yield pack([compounds[j] for j in sequence[first : first + pack_size]])


def shuffle_split(compounds, shares, generator):
    borders = np.cumsum(np.array(shares[:-1]) * len(compounds)).round().astype(int)
    return [
        [compounds[j] for j in chunk]
        for chunk in np.split(generator.permutation(len(compounds)), borders)
    ]


def scaffold_split(compounds, shares, generator):
    """Keep each scaffold whole: the most common ones go first, always where most is missing."""
    by_scaffold = defaultdict(list)
    for j, compound in enumerate(compounds):
        by_scaffold[compound.scaffold or f"#{j}"].append(j)
    names = list(by_scaffold)
    names = sorted(
        (names[j] for j in generator.permutation(len(names))),
        key=lambda name: -len(by_scaffold[name]),
    )
    missing = np.array(shares, dtype=float) * len(compounds)
    subsets = [[] for _ in shares]
    for name in names:
        target = int(missing.argmax())
        subsets[target] += [compounds[j] for j in by_scaffold[name]]
        missing[target] -= len(by_scaffold[name])
    return subsets
