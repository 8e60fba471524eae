"""Molecule records, featurisation, batching of sparse graphs and dataset splits."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence

import torch
from torch import Tensor


class CategoricalVocabulary:
    """Maps raw values to indices; index 0 is reserved for unseen values, the first value is the default."""

    def __init__(self, *known_values: Any) -> None:
        self.default = known_values[0]
        self._index_by_value = {value: position for position, value in enumerate(known_values, start=1)}

    def __len__(self) -> int:
        return len(self._index_by_value) + 1

    def lookup(self, value: Any) -> int:
        return self._index_by_value.get(value, 0)


ATOM_VOCABULARIES: dict[str, CategoricalVocabulary] = {
    "element": CategoricalVocabulary("C", "N", "O", "F", "P", "S", "Cl", "Br", "I", "B", "Si", "Se", "H"),
    "charge": CategoricalVocabulary(0, 1, 2, -1, -2),
    "hydrogens": CategoricalVocabulary(0, 1, 2, 3, 4),
    "aromatic": CategoricalVocabulary(False, True),
    "chirality": CategoricalVocabulary("none", "R", "S"),
}
BOND_VOCABULARIES: dict[str, CategoricalVocabulary] = {
    "order": CategoricalVocabulary("single", "double", "triple", "aromatic"),
    "stereo": CategoricalVocabulary("none", "E", "Z"),
    "in_ring": CategoricalVocabulary(False, True),
}


@dataclass
class MolecularGraph:
    """One molecule: every chemical bond is stored as two directed edges."""

    atom_features: Tensor  # [num_atoms, num_atom_attributes]
    edge_index: Tensor  # [2, num_edges]
    bond_features: Tensor  # [num_edges, num_bond_attributes]
    labels: Tensor  # [num_tasks], NaN where the measurement is missing
    group_key: str = ""

    @property
    def num_atoms(self) -> int:
        return self.atom_features.size(0)


class MoleculeFeaturizer:
    """Converts ``{"atoms": [...], "bonds": [...]}`` dictionaries into :class:`MolecularGraph` objects."""

    def __init__(self, num_tasks: int) -> None:
        self.num_tasks = num_tasks

    def featurize(self, record: Mapping[str, Any]) -> MolecularGraph:
        atoms, bonds = record["atoms"], record.get("bonds", [])
        if not atoms:
            raise ValueError("A molecule needs at least one atom")

        atom_rows = [self._encode(atom, ATOM_VOCABULARIES) for atom in atoms]
        sources: list[int] = []
        targets: list[int] = []
        bond_rows: list[list[int]] = []
        for bond in bonds:
            begin, end = int(bond["begin"]), int(bond["end"])
            if not (0 <= begin < len(atoms) and 0 <= end < len(atoms)):
                raise ValueError(f"Bond {begin}-{end} refers to an atom that does not exist")
            encoded_bond = self._encode(bond, BOND_VOCABULARIES)
            sources += [begin, end]
            targets += [end, begin]
            bond_rows += [encoded_bond, encoded_bond]

        return MolecularGraph(
            atom_features=torch.tensor(atom_rows, dtype=torch.long),
            edge_index=torch.tensor([sources, targets], dtype=torch.long),
            bond_features=torch.tensor(bond_rows, dtype=torch.long).view(-1, len(BOND_VOCABULARIES)),
            labels=self._encode_labels(record.get("labels")),
            group_key=str(record.get("group", "")),
        )

    @staticmethod
    def _encode(entity: Mapping[str, Any], vocabularies: Mapping[str, CategoricalVocabulary]) -> list[int]:
        return [
            vocabulary.lookup(entity.get(name, vocabulary.default))
            for name, vocabulary in vocabularies.items()
        ]

    def _encode_labels(self, raw_labels: Optional[Sequence[Optional[float]]]) -> Tensor:
        if raw_labels is None:
            return torch.full((self.num_tasks,), float("nan"))
        if len(raw_labels) != self.num_tasks:
            raise ValueError(f"Expected {self.num_tasks} labels, got {len(raw_labels)}")
        return torch.tensor([float("nan") if label is None else float(label) for label in raw_labels])


@dataclass
class GraphBatch:
    """Several molecules merged into one disconnected graph."""

    atom_features: Tensor
    edge_index: Tensor
    bond_features: Tensor
    graph_index: Tensor  # [total_atoms], which molecule an atom belongs to
    labels: Tensor  # [num_graphs, num_tasks]

    @property
    def num_graphs(self) -> int:
        return self.labels.size(0)

    @classmethod
    def from_graphs(cls, graphs: Sequence[MolecularGraph]) -> "GraphBatch":
        shifted_edges = []
        membership = []
        atom_offset = 0
        for position, graph in enumerate(graphs):
            shifted_edges.append(graph.edge_index + atom_offset)
            membership.append(torch.full((graph.num_atoms,), position, dtype=torch.long))
            atom_offset += graph.num_atoms
        return cls(
            atom_features=torch.cat([graph.atom_features for graph in graphs]),
            edge_index=torch.cat(shifted_edges, dim=1),
            bond_features=torch.cat([graph.bond_features for graph in graphs]),
            graph_index=torch.cat(membership),
            labels=torch.stack([graph.labels for graph in graphs]),
        )

    def to(self, device: torch.device) -> "GraphBatch":
        return GraphBatch(**{name: tensor.to(device) for name, tensor in vars(self).items()})


MoleculeDataset = list[MolecularGraph]


@dataclass
class DatasetSplit:
    train: MoleculeDataset
    validation: MoleculeDataset
    test: MoleculeDataset


class DatasetSplitter(ABC):
    """Strategy interface that assigns every molecule to exactly one partition."""

    def __init__(self, validation_fraction: float = 0.1, test_fraction: float = 0.1) -> None:
        if validation_fraction < 0 or test_fraction < 0 or validation_fraction + test_fraction >= 1:
            raise ValueError("Validation and test fractions must be non-negative and sum to less than one")
        self.validation_fraction = validation_fraction
        self.test_fraction = test_fraction

    def split(self, dataset: MoleculeDataset) -> DatasetSplit:
        return DatasetSplit(*([dataset[index] for index in indices] for indices in self._assign(dataset)))

    @abstractmethod
    def _assign(self, dataset: MoleculeDataset) -> tuple[list[int], list[int], list[int]]:
        """Return train, validation and test indices."""


class RandomSplitter(DatasetSplitter):
    def __init__(self, seed: int = 17, **fractions: float) -> None:
        super().__init__(**fractions)
        self.seed = seed

    def _assign(self, dataset: MoleculeDataset) -> tuple[list[int], list[int], list[int]]:
        order = list(range(len(dataset)))
        random.Random(self.seed).shuffle(order)
        num_validation = round(len(order) * self.validation_fraction)
        num_test = round(len(order) * self.test_fraction)
        validation = order[:num_validation]
        test = order[num_validation : num_validation + num_test]
        return order[num_validation + num_test :], validation, test


class GroupSplitter(DatasetSplitter):
    """Keeps all molecules of a group (for example a scaffold) together.

    The largest groups go to training, so validation and test hold the rarer structures. Molecules without
    a key count as groups of their own.
    """

    def _assign(self, dataset: MoleculeDataset) -> tuple[list[int], list[int], list[int]]:
        members: dict[str, list[int]] = defaultdict(list)
        for index, graph in enumerate(dataset):
            members[graph.group_key or f"__singleton_{index}"].append(index)

        train_capacity = len(dataset) * (1 - self.validation_fraction - self.test_fraction)
        validation_capacity = len(dataset) * self.validation_fraction
        train: list[int] = []
        validation: list[int] = []
        test: list[int] = []
        for group in sorted(members.values(), key=lambda indices: (-len(indices), indices[0])):
            if len(train) + len(group) <= train_capacity:
                train.extend(group)
            elif len(validation) + len(group) <= validation_capacity:
                validation.extend(group)
            else:
                test.extend(group)
        return train, validation, test


SPLITTERS: dict[str, type[DatasetSplitter]] = {"random": RandomSplitter, "group": GroupSplitter}
