"""NumPy arrays of molecules for JAX, stacked into one large graph for each step."""

import json
from collections import defaultdict
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

ATOM_SYMBOLS = ["H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Se", "Br", "I"]
BOND_ORDERS = ["single", "double", "triple", "aromatic"]
MIN_CHARGE, MAX_CHARGE = -2, 2
MAX_HYDROGENS = 4
MAX_NEIGHBORS = 6

ATOM_CARDINALITIES = (len(ATOM_SYMBOLS) + 1, MAX_CHARGE - MIN_CHARGE + 1, MAX_HYDROGENS + 1, MAX_NEIGHBORS + 1, 2)
BOND_CARDINALITIES = (len(BOND_ORDERS) + 1, 2)


class MoleculeArrays(NamedTuple):
    node_codes: np.ndarray
    endpoints: np.ndarray
    edge_codes: np.ndarray
    targets: np.ndarray
    cluster: str


class GraphBatch(NamedTuple):
    node_codes: jnp.ndarray
    senders: jnp.ndarray
    receivers: jnp.ndarray
    edge_codes: jnp.ndarray
    graph_ids: jnp.ndarray
    targets: jnp.ndarray


def code_of(token, vocabulary):
    return vocabulary.index(token) if token in vocabulary else len(vocabulary)


def to_arrays(record):
    num_atoms = len(record["atoms"])
    pairs = np.array([bond["ends"] for bond in record["bonds"]], dtype=np.int32).reshape(-1, 2)
    if pairs.size and (pairs.min() < 0 or pairs.max() >= num_atoms):
        raise ValueError(f"bond endpoints must lie in 0..{num_atoms - 1}")
    num_neighbors = np.bincount(pairs.ravel(), minlength=num_atoms)
    node_codes = [
        (
            code_of(atom["element"], ATOM_SYMBOLS),
            int(np.clip(atom.get("charge", 0), MIN_CHARGE, MAX_CHARGE)) - MIN_CHARGE,
            min(atom.get("hydrogens", 0), MAX_HYDROGENS),
            min(int(neighbors), MAX_NEIGHBORS),
            int(atom.get("aromatic", False)),
        )
        for atom, neighbors in zip(record["atoms"], num_neighbors)
    ]
    edge_codes = [
        (code_of(bond.get("order", "single"), BOND_ORDERS), int(bond.get("ring", False))) for bond in record["bonds"]
    ]
    edge_codes = np.array(edge_codes, dtype=np.int32).reshape(-1, 2)
    pairs = pairs.T
    return MoleculeArrays(
        node_codes=np.array(node_codes, dtype=np.int32).reshape(-1, 5),
        endpoints=np.concatenate([pairs, pairs[::-1]], axis=1),
        edge_codes=np.concatenate([edge_codes, edge_codes]),
        targets=np.array([np.nan if target is None else target for target in record["labels"]], dtype=np.float32),
        cluster=str(record.get("group", "")),
    )


def read_molecules(filename):
    with open(filename) as file:
        molecules = [to_arrays(json.loads(row)) for row in file if row.strip()]
    if len({molecule.targets.shape[0] for molecule in molecules}) != 1:
        raise ValueError(f"{filename} mixes molecules with different numbers of targets")
    return molecules


def stack_graphs(molecules):
    num_atoms = np.array([len(molecule.node_codes) for molecule in molecules])
    first_atom = np.cumsum(num_atoms) - num_atoms
    endpoints = np.concatenate(
        [molecule.endpoints + first for molecule, first in zip(molecules, first_atom)], axis=1
    )
    return GraphBatch(
        node_codes=jnp.asarray(np.concatenate([molecule.node_codes for molecule in molecules])),
        senders=jnp.asarray(endpoints[0]),
        receivers=jnp.asarray(endpoints[1]),
        edge_codes=jnp.asarray(np.concatenate([molecule.edge_codes for molecule in molecules])),
        graph_ids=jnp.asarray(np.repeat(np.arange(len(molecules)), num_atoms)),
        targets=jnp.asarray(np.stack([molecule.targets for molecule in molecules])),
    )


def iterate(molecules, batch_size, np_rng=None):
    indices = np.arange(len(molecules)) if np_rng is None else np_rng.permutation(len(molecules))
    for start in range(0, len(indices), batch_size):
        yield stack_graphs([molecules[i] for i in indices[start : start + batch_size]])


def random_partition(molecules, ratios, np_rng):
    boundaries = np.cumsum(np.array(ratios[:-1]) * len(molecules)).round().astype(int)
    return [
        [molecules[i] for i in indices] for indices in np.split(np_rng.permutation(len(molecules)), boundaries)
    ]


def cluster_partition(molecules, ratios, np_rng):
    """Clusters are never divided; the larger ones are assigned first, to the subset with most space left."""
    clusters = defaultdict(list)
    for i, molecule in enumerate(molecules):
        clusters[molecule.cluster or f"#{i}"].append(i)
    names = list(clusters)
    names = [names[i] for i in np_rng.permutation(len(names))]
    names.sort(key=lambda name: -len(clusters[name]))
    space = np.array(ratios, dtype=float) * len(molecules)
    subsets = [[] for _ in ratios]
    for name in names:
        roomiest = int(np.argmax(space))
        subsets[roomiest].extend(molecules[i] for i in clusters[name])
        space[roomiest] -= len(clusters[name])
    return subsets
