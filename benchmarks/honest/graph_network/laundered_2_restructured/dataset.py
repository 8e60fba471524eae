"""The molecule collection: reading, splitting and mini-batches."""

import json
from dataclasses import dataclass, fields

import numpy as np
import torch

from featurizer import Featurizer


@dataclass
class MolBatch:
    x: torch.Tensor
    edge_index: torch.Tensor
    edge_attr: torch.Tensor
    batch: torch.Tensor
    y: torch.Tensor

    @property
    def num_graphs(self):
        return self.y.size(0)

    @classmethod
    def from_graphs(cls, graphs):
        shifted, membership = [], []
        offset = 0
        for position, graph in enumerate(graphs):
            shifted.append(graph.edge_index + offset)
            membership.append(torch.full((graph.num_nodes,), position, dtype=torch.long))
            offset += graph.num_nodes
        return cls(
            y=torch.stack([graph.y for graph in graphs]),
            x=torch.cat([graph.x for graph in graphs]),
            edge_attr=torch.cat([graph.edge_attr for graph in graphs]),
            edge_index=torch.cat(shifted, dim=-1),
            batch=torch.cat(membership),
        )

    def move(self, device):
        return MolBatch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


class MolDataset:
    def __init__(self, graphs):
        self.graphs = list(graphs)

    @classmethod
    def from_file(cls, path):
        featurizer = Featurizer()
        graphs = []
        with open(path) as stream:
            for line in stream:
                line = line.strip()
                if not line:
                    continue
                graphs.append(featurizer(json.loads(line)))
        label_counts = set(graph.y.numel() for graph in graphs)
        if len(label_counts) == 1:
            return cls(graphs)
        raise ValueError(f"molecules in {path} do not all have the same number of labels")

    def __len__(self):
        return len(self.graphs)

    @property
    def num_tasks(self):
        return self.graphs[0].y.numel()

    def subset(self, indices):
        return MolDataset(self.graphs[i] for i in indices)

    def minibatches(self, batch_size, rng=None):
        indices = list(range(len(self)))
        if rng is not None:
            indices = rng.permutation(len(self)).tolist()
        while indices:
            head, indices = indices[:batch_size], indices[batch_size:]
            yield MolBatch.from_graphs([self.graphs[i] for i in head])

    def split(self, mode, rng, ratios):
        if mode == "group":
            return self._cluster_split(rng, ratios)
        shuffled = rng.permutation(len(self))
        bounds = [0]
        for ratio in ratios[:-1]:
            bounds.append(bounds[-1] + ratio * len(self))
        bounds = [int(np.round(bound)) for bound in bounds] + [len(self)]
        return [self.subset(shuffled[start:stop]) for start, stop in zip(bounds, bounds[1:])]

    def _cluster_split(self, rng, ratios):
        """A cluster is never divided; large clusters choose first, and choose the emptiest subset."""
        clusters = {}
        for i, graph in enumerate(self.graphs):
            clusters.setdefault(graph.cluster if graph.cluster else f"single-{i}", []).append(i)
        clusters = list(clusters.values())
        queue = [clusters[i] for i in rng.permutation(len(clusters))]
        queue.sort(key=len, reverse=True)

        wanted = [ratio * len(self) for ratio in ratios]
        chosen = [[] for _ in ratios]
        for cluster in queue:
            deficits = [want - len(have) for want, have in zip(wanted, chosen)]
            emptiest = deficits.index(max(deficits))
            chosen[emptiest].extend(cluster)
        return [self.subset(indices) for indices in chosen]
