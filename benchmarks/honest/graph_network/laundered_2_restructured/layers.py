"""Building blocks of the network."""

import torch
from torch import nn
from torch.nn import functional as F


def segment_sum(values, ids, num_segments):
    out = torch.zeros((num_segments,) + tuple(values.shape[1:]), dtype=values.dtype, device=values.device)
    out.index_add_(0, ids, values)
    return out


class SumEmbedding(nn.Module):
    """One table for each column, the rows added up."""

    def __init__(self, num_values, dim, std):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(count, dim) for count in num_values)
        for table in self.tables:
            nn.init.normal_(table.weight, std=std)

    def forward(self, codes):
        total = 0
        for table, column in zip(self.tables, codes.unbind(dim=1)):
            total = total + table(column)
        return total


class Perceptron(nn.Sequential):
    def __init__(self, in_dim, mid_dim, out_dim):
        first, second = nn.Linear(in_dim, mid_dim), nn.Linear(mid_dim, out_dim)
        nn.init.normal_(first.weight, std=(2 / in_dim) ** 0.5)
        nn.init.normal_(second.weight, std=mid_dim**-0.5)
        nn.init.zeros_(first.bias)
        nn.init.zeros_(second.bias)
        super().__init__(first, nn.ReLU(), second)


class NodeUpdate(nn.Module):
    """Gathers from the neighbours along the bonds and returns the normalised update."""

    def __init__(self, num_bond_values, dim):
        super().__init__()
        self.bond_embedding = SumEmbedding(num_bond_values, dim, std=0.5)
        self.epsilon = nn.Parameter(torch.tensor(0.0))
        self.perceptron = Perceptron(dim, 2 * dim, dim)
        self.layer_norm = nn.LayerNorm(dim)

    def forward(self, x, edge_index, edge_attr):
        senders, receivers = edge_index[0], edge_index[1]
        messages = torch.relu(self.bond_embedding(edge_attr) + x.index_select(0, senders))
        gathered = segment_sum(messages, receivers, x.size(0))
        return self.layer_norm(self.perceptron(x + self.epsilon * x + gathered))


class VirtualUpdate(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.perceptron = Perceptron(dim, 2 * dim, dim)
        self.layer_norm = nn.LayerNorm(dim)

    def forward(self, x, virtual, batch):
        collected = segment_sum(x, batch, virtual.size(0)) + virtual
        return torch.relu(self.layer_norm(self.perceptron(collected)))


class JumpingKnowledge(nn.Module):
    def __init__(self, mode, num_states, dim):
        super().__init__()
        self.mode = mode
        if mode == "concat":
            self.mix = nn.Linear(num_states * dim, dim, bias=False)
            nn.init.normal_(self.mix.weight, std=(num_states * dim) ** -0.5)

    def forward(self, states):
        if self.mode == "last":
            return states[-1]
        if self.mode == "max":
            out = states[0]
            for state in states[1:]:
                out = torch.maximum(out, state)
            return out
        return self.mix(torch.cat(states, dim=-1))


class AttentivePooling(nn.Module):
    """Several weighted means over the atoms of a molecule, side by side."""

    def __init__(self, dim, num_heads):
        super().__init__()
        self.num_heads, self.head_dim = num_heads, dim // num_heads
        self.score = nn.Linear(dim, num_heads, bias=False)
        self.content = nn.Linear(dim, num_heads * self.head_dim, bias=False)
        for layer in (self.score, self.content):
            nn.init.normal_(layer.weight, std=dim**-0.5)

    @property
    def out_dim(self):
        return self.num_heads * self.head_dim

    def attention(self, x, batch, num_graphs):
        logits = self.score(x)
        ids = batch.unsqueeze(-1).expand(-1, self.num_heads)
        highest = logits.new_full((num_graphs, self.num_heads), float("-inf"))
        highest.scatter_reduce_(0, ids, logits.detach(), reduce="amax")
        numerators = torch.exp(logits - highest.index_select(0, batch))
        denominators = segment_sum(numerators, batch, num_graphs)
        return numerators / denominators.index_select(0, batch)

    def forward(self, x, batch, num_graphs):
        content = self.content(x).view(-1, self.num_heads, self.head_dim)
        weighted = content * self.attention(x, batch, num_graphs).unsqueeze(-1)
        return segment_sum(weighted, batch, num_graphs).reshape(num_graphs, self.out_dim)
