"""Turns a JSON description of a molecule into integer tensors."""

from dataclasses import dataclass

import torch

ATOM_TYPES = "H B C N O F Si P S Cl Se Br I".split()
BOND_TYPES = "single double triple aromatic".split()
MIN_CHARGE = -2
MAX_CHARGE = 2
HYDROGEN_CAP = 4
DEGREE_CAP = 6

_ATOM_IDS = {symbol: i for i, symbol in enumerate(ATOM_TYPES)}
_BOND_IDS = {kind: i for i, kind in enumerate(BOND_TYPES)}

NUM_ATOM_VALUES = [len(ATOM_TYPES) + 1, MAX_CHARGE - MIN_CHARGE + 1, HYDROGEN_CAP + 1, DEGREE_CAP + 1, 2]
NUM_BOND_VALUES = [len(BOND_TYPES) + 1, 2]


@dataclass
class MolGraph:
    x: torch.Tensor
    edge_index: torch.Tensor
    edge_attr: torch.Tensor
    y: torch.Tensor
    cluster: str = ""

    @property
    def num_nodes(self):
        return self.x.size(0)


class Featurizer:
    def __call__(self, entry):
        atoms, bonds = entry["atoms"], entry["bonds"]
        degrees = self._check_and_count(bonds, len(atoms))
        x = torch.empty(len(atoms), 5, dtype=torch.long)
        for row, atom in enumerate(atoms):
            x[row] = torch.tensor(self.atom_row(atom, degrees[row]))

        senders, receivers, edge_rows = [], [], []
        for bond in bonds:
            first, second = bond["ends"]
            senders.append(first)
            receivers.append(second)
            edge_rows.append(self.bond_row(bond))
        edge_index = torch.tensor([senders + receivers, receivers + senders], dtype=torch.long)
        edge_attr = torch.tensor(edge_rows * 2, dtype=torch.long).view(-1, 2)

        y = torch.full((len(entry["labels"]),), float("nan"))
        for task, label in enumerate(entry["labels"]):
            if label is not None:
                y[task] = label
        return MolGraph(x, edge_index, edge_attr, y, str(entry.get("group", "")))

    @staticmethod
    def _check_and_count(bonds, num_atoms):
        degrees = [0] * num_atoms
        for bond in bonds:
            for end in bond["ends"]:
                if not 0 <= end < num_atoms:
                    raise ValueError(f"bond end {end} is not one of the {num_atoms} atoms")
                degrees[end] += 1
        return degrees

    @staticmethod
    def atom_row(atom, degree):
        charge = atom.get("charge", 0)
        if charge < MIN_CHARGE:
            charge = MIN_CHARGE
        elif charge > MAX_CHARGE:
            charge = MAX_CHARGE
        return [
            _ATOM_IDS.get(atom["element"], len(ATOM_TYPES)),
            charge - MIN_CHARGE,
            min(HYDROGEN_CAP, atom.get("hydrogens", 0)),
            min(DEGREE_CAP, degree),
            1 if atom.get("aromatic", False) else 0,
        ]

    @staticmethod
    def bond_row(bond):
        kind = _BOND_IDS.get(bond.get("order", "single"), len(BOND_TYPES))
        return [kind, 1 if bond.get("ring", False) else 0]
