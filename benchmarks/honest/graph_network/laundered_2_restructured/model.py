"""The whole network."""

import torch
from torch import nn

from featurizer import NUM_ATOM_VALUES, NUM_BOND_VALUES
from layers import AttentivePooling, JumpingKnowledge, NodeUpdate, Perceptron, SumEmbedding, VirtualUpdate


class VirtualNodeGIN(nn.Module):
    def __init__(self, num_tasks, num_layers=5, dim=192, num_heads=4, jk="concat", dropout=0.2):
        super().__init__()
        self.hparams = dict(
            num_tasks=num_tasks, num_layers=num_layers, dim=dim, num_heads=num_heads, jk=jk, dropout=dropout
        )
        self.atom_embedding = SumEmbedding(NUM_ATOM_VALUES, dim, std=len(NUM_ATOM_VALUES) ** -0.5)
        self.virtual_start = nn.Parameter(torch.zeros(dim))
        self.node_updates = nn.ModuleList(NodeUpdate(NUM_BOND_VALUES, dim) for _ in range(num_layers))
        self.virtual_updates = nn.ModuleList(VirtualUpdate(dim) for _ in range(num_layers - 1))
        self.jumping = JumpingKnowledge(jk, num_layers + 1, dim)
        self.pooling = AttentivePooling(dim, num_heads)
        self.output = Perceptron(self.pooling.out_dim, dim, num_tasks)
        self.drop = nn.Dropout(dropout)

    def encode_nodes(self, data):
        x = self.atom_embedding(data.x)
        virtual = self.virtual_start.repeat(data.num_graphs, 1)
        states = [x]
        for node_update, virtual_update in zip(self.node_updates, self.virtual_updates):
            x = x + virtual.index_select(0, data.batch)
            update = torch.relu(node_update(x, data.edge_index, data.edge_attr))
            virtual = virtual + self.drop(virtual_update(x, virtual, data.batch))
            x = x + self.drop(update)
            states.append(x)
        # the last layer has neither a rectifier nor a virtual node
        x = x + virtual.index_select(0, data.batch)
        x = x + self.drop(self.node_updates[-1](x, data.edge_index, data.edge_attr))
        return states + [x]

    def forward(self, data):
        nodes = self.jumping(self.encode_nodes(data))
        molecules = self.pooling(nodes, data.batch, data.num_graphs)
        return self.output(self.drop(molecules))
