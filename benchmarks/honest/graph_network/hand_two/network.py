"""Graph isomorphism network with bond embeddings, a virtual node and attention pooling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping

import torch
from torch import Tensor, nn

from molecules import ATOM_VOCABULARIES, BOND_VOCABULARIES, CategoricalVocabulary, GraphBatch


def scatter_sum(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """Sum the rows of ``values`` that share the same segment index."""
    output = values.new_zeros((num_segments, *values.shape[1:]))
    return output.index_add_(0, index, values)


def segment_softmax(scores: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """Softmax over the rows of each segment; ``scores`` is [num_rows, num_heads]."""
    expanded_index = index.unsqueeze(-1).expand_as(scores)
    maxima = scores.new_full((num_segments, scores.size(1)), float("-inf"))
    maxima = maxima.scatter_reduce(0, expanded_index, scores, reduce="amax")
    exponentials = torch.exp(scores - maxima[index])
    normalizers = scatter_sum(exponentials, index, num_segments)
    return exponentials / normalizers[index].clamp_min(1e-12)


@dataclass
class GraphNetworkConfig:
    num_tasks: int
    hidden_size: int = 256
    num_layers: int = 5
    dropout: float = 0.2
    jumping_knowledge: str = "concat"
    num_pooling_heads: int = 4
    use_virtual_node: bool = True

    def __post_init__(self) -> None:
        if self.num_tasks < 1 or self.num_layers < 1:
            raise ValueError("num_tasks and num_layers must be positive")
        if self.hidden_size % self.num_pooling_heads != 0:
            raise ValueError("hidden_size must be divisible by num_pooling_heads")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError("dropout must lie in [0, 1)")
        if self.jumping_knowledge not in JUMPING_KNOWLEDGE_MODES:
            raise ValueError(f"jumping_knowledge must be one of {sorted(JUMPING_KNOWLEDGE_MODES)}")


class CategoricalEncoder(nn.Module):
    """Sums one embedding per categorical attribute."""

    def __init__(self, vocabularies: Mapping[str, CategoricalVocabulary], embedding_size: int) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(
            nn.Embedding(len(vocabulary), embedding_size) for vocabulary in vocabularies.values()
        )
        for embedding in self.embeddings:
            nn.init.xavier_uniform_(embedding.weight)

    def forward(self, features: Tensor) -> Tensor:
        embedded = [embedding(features[:, column]) for column, embedding in enumerate(self.embeddings)]
        return torch.stack(embedded).sum(dim=0)


def build_mlp(input_size: int, inner_size: int, output_size: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(input_size, inner_size),
        nn.BatchNorm1d(inner_size),
        nn.ReLU(),
        nn.Linear(inner_size, output_size),
    )


class BondAwareIsomorphismLayer(nn.Module):
    """``h_v' = MLP((1 + eps) h_v + sum over u of ReLU(h_u + e_uv))``."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.bond_encoder = CategoricalEncoder(BOND_VOCABULARIES, hidden_size)
        self.epsilon = nn.Parameter(torch.zeros(1))
        self.update_network = build_mlp(hidden_size, 2 * hidden_size, hidden_size)

    def forward(self, atom_states: Tensor, edge_index: Tensor, bond_features: Tensor) -> Tensor:
        source, target = edge_index
        messages = torch.relu(atom_states[source] + self.bond_encoder(bond_features))
        aggregated = scatter_sum(messages, target, atom_states.size(0))
        return self.update_network((1 + self.epsilon) * atom_states + aggregated)


class VirtualNode(nn.Module):
    """A global state per molecule that reads from and writes to all of its atoms between layers."""

    def __init__(self, hidden_size: int, num_updates: int, dropout: float) -> None:
        super().__init__()
        self.initial_state = nn.Parameter(torch.zeros(hidden_size))
        self.update_networks = nn.ModuleList(
            nn.Sequential(
                build_mlp(hidden_size, 2 * hidden_size, hidden_size),
                nn.BatchNorm1d(hidden_size),
                nn.ReLU(),
                nn.Dropout(dropout),
            )
            for _ in range(num_updates)
        )

    def initialize(self, num_graphs: int) -> Tensor:
        return self.initial_state.expand(num_graphs, -1)

    def update(self, step: int, state: Tensor, atom_states: Tensor, graph_index: Tensor) -> Tensor:
        pooled = scatter_sum(atom_states, graph_index, state.size(0))
        return state + self.update_networks[step](state + pooled)


class ConcatenatedLayers(nn.Module):
    """Jumping knowledge: projects the states of all layers back to the hidden size."""

    def __init__(self, hidden_size: int, num_states: int) -> None:
        super().__init__()
        self.projection = nn.Linear(hidden_size * num_states, hidden_size)

    def forward(self, layer_states: list[Tensor]) -> Tensor:
        return self.projection(torch.cat(layer_states, dim=-1))


class MaximumOverLayers(nn.Module):
    """Jumping knowledge: element-wise maximum over the states of all layers."""

    def __init__(self, hidden_size: int, num_states: int) -> None:
        super().__init__()

    def forward(self, layer_states: list[Tensor]) -> Tensor:
        return torch.stack(layer_states).amax(dim=0)


JUMPING_KNOWLEDGE_MODES: dict[str, type[nn.Module]] = {"concat": ConcatenatedLayers, "max": MaximumOverLayers}


class AttentionPooling(nn.Module):
    """Multi-head gated sum of atom states; each head pools its own slice of the features."""

    def __init__(self, hidden_size: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.score_network = nn.Sequential(
            nn.Linear(hidden_size, hidden_size // 2), nn.Tanh(), nn.Linear(hidden_size // 2, num_heads)
        )
        self.value_projection = nn.Linear(hidden_size, hidden_size)

    def forward(self, atom_states: Tensor, graph_index: Tensor, num_graphs: int) -> Tensor:
        weights = segment_softmax(self.score_network(atom_states), graph_index, num_graphs)
        values = self.value_projection(atom_states).unflatten(-1, (self.num_heads, -1))
        return scatter_sum(weights.unsqueeze(-1) * values, graph_index, num_graphs).flatten(start_dim=1)


class MolecularPropertyNetwork(nn.Module):
    """Predicts one logit per task for every molecule of a batch."""

    def __init__(self, config: GraphNetworkConfig) -> None:
        super().__init__()
        self.config = config
        hidden = config.hidden_size
        self.atom_encoder = CategoricalEncoder(ATOM_VOCABULARIES, hidden)
        self.layers = nn.ModuleList(BondAwareIsomorphismLayer(hidden) for _ in range(config.num_layers))
        self.normalizations = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in range(config.num_layers))
        self.dropout = nn.Dropout(config.dropout)
        self.virtual_node = (
            VirtualNode(hidden, config.num_layers - 1, config.dropout) if config.use_virtual_node else None
        )
        self.jumping_knowledge = JUMPING_KNOWLEDGE_MODES[config.jumping_knowledge](
            hidden, config.num_layers + 1
        )
        self.pooling = AttentionPooling(hidden, config.num_pooling_heads)
        self.prediction_head = nn.Sequential(
            nn.LayerNorm(hidden),
            nn.Linear(hidden, hidden // 2),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(hidden // 2, config.num_tasks),
        )

    def encode_atoms(self, batch: GraphBatch) -> Tensor:
        states = [self.atom_encoder(batch.atom_features)]
        virtual_state = self.virtual_node.initialize(batch.num_graphs) if self.virtual_node else None
        final_layer = len(self.layers) - 1
        for depth, (layer, normalization) in enumerate(zip(self.layers, self.normalizations)):
            layer_input = states[-1]
            if virtual_state is not None:
                layer_input = layer_input + virtual_state[batch.graph_index]
            updated = normalization(layer(layer_input, batch.edge_index, batch.bond_features))
            if depth < final_layer:
                updated = torch.relu(updated)
                if virtual_state is not None:
                    virtual_state = self.virtual_node.update(
                        depth, virtual_state, layer_input, batch.graph_index
                    )
            states.append(self.dropout(updated) + layer_input)
        return self.jumping_knowledge(states)

    def forward(self, batch: GraphBatch) -> Tensor:
        atom_states = self.encode_atoms(batch)
        molecule_embeddings = self.pooling(atom_states, batch.graph_index, batch.num_graphs)
        return self.prediction_head(molecule_embeddings)
