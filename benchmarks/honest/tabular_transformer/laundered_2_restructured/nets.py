"""Complete networks: the column transformer and a plain MLP."""
from dataclasses import dataclass, field
from typing import List

import torch
import torch.nn as nn

from layers import ColumnEmbedder, EncoderLayer, joint_embedding_or_none


@dataclass
class NetConfig:
    depth: int = 3
    width: int = 64
    n_heads: int = 8
    ffn_ratio: float = 4 / 3
    attn_drop: float = 0.2
    ffn_drop: float = 0.1
    skip_drop: float = 0.0
    mlp_widths: List[int] = field(default_factory=lambda: [256, 256])
    mlp_drop: float = 0.1
    mlp_embedding: int = 8

    def __post_init__(self):
        if self.width % self.n_heads:
            raise ValueError(f"n_heads={self.n_heads} does not divide width={self.width}")


class ColumnTransformer(nn.Module):
    def __init__(self, cfg, n_outputs, n_cont, n_categories):
        super().__init__()
        self.embedder = ColumnEmbedder(cfg.width, n_cont, n_categories)
        self.encoder = nn.ModuleList()
        for position in range(cfg.depth):
            self.encoder.append(EncoderLayer(cfg, position))
        self.readout = nn.Sequential(nn.LayerNorm(cfg.width), nn.ReLU(), nn.Linear(cfg.width, n_outputs))

    def forward(self, cont, disc):
        x = self.embedder(cont, disc)
        for layer in self.encoder:
            x = layer(x)
        return self.readout(x.select(1, 0))


class PlainMlp(nn.Module):
    def __init__(self, cfg, n_outputs, n_cont, n_categories):
        super().__init__()
        self.table = joint_embedding_or_none(cfg.mlp_embedding, n_categories)
        widths = [n_cont + cfg.mlp_embedding * len(n_categories)] + list(cfg.mlp_widths)
        self.body = nn.Sequential()
        for fan_in, fan_out in zip(widths, widths[1:]):
            self.body.append(nn.Linear(fan_in, fan_out))
            self.body.append(nn.ReLU())
            self.body.append(nn.Dropout(cfg.mlp_drop))
        self.body.append(nn.Linear(widths[-1], n_outputs))

    def forward(self, cont, disc):
        x = cont
        if self.table is not None:
            x = torch.hstack((x, self.table(disc).reshape(len(disc), -1)))
        return self.body(x)


def build_net(kind, cfg, n_outputs, n_cont, n_categories):
    if kind == "transformer":
        return ColumnTransformer(cfg, n_outputs, n_cont, n_categories)
    if kind == "mlp":
        return PlainMlp(cfg, n_outputs, n_cont, n_categories)
    raise ValueError(f"No network called '{kind}'; known: ['mlp', 'transformer']")
