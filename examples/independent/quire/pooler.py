"""Attention pooling of patch features into a fixed number of tokens per cell."""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from quire.settings import Settings


class RMSNorm(nn.Module):
    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps)


class CrossAttention(nn.Module):
    head_dim = 64

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.q = nn.Linear(dim, dim, bias=False)
        self.kv = nn.Linear(dim, dim * 2, bias=False)
        self.o = nn.Linear(dim, dim, bias=False)

    def heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        k, v = map(self.heads, self.kv(memory).chunk(2, dim=-1))
        y = F.scaled_dot_product_attention(
            self.heads(self.q(x)), k, v, dropout_p=self.dropout if self.training else 0.0
        )
        return self.o(y.transpose(1, 2).flatten(2))


class PoolerLayer(nn.Module):
    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = RMSNorm(dim), RMSNorm(dim)
        self.attn = CrossAttention(dim, dropout)
        self.mlp = nn.Sequential(
            nn.Linear(dim, dim * 4), nn.SiLU(), nn.Dropout(dropout), nn.Linear(dim * 4, dim)
        )

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x), memory)
        return x + self.mlp(self.norm2(x))


class Pooler(nn.Module):
    def __init__(self, s: Settings) -> None:
        super().__init__()
        dim = s.pooler_dim
        self.fold = s.fold
        self.inp = nn.Linear(s.eye.hidden_size * s.fold**2, dim)
        self.inp_norm = RMSNorm(dim)
        # learned and separable: position inside a cell, and the cell's place in the grid
        self.pos_y = nn.Parameter(torch.randn(s.side, 1, dim) * 0.02)
        self.pos_x = nn.Parameter(torch.randn(1, s.side, dim) * 0.02)
        self.cell_row = nn.Embedding(s.max_cells + 1, dim)
        self.cell_col = nn.Embedding(s.max_cells + 1, dim)
        self.query = nn.Parameter(torch.randn(s.pooled_tokens, dim) * 0.02)
        self.layers = nn.ModuleList(PoolerLayer(dim, s.dropout) for _ in range(s.pooler_layers))
        self.out = nn.Sequential(RMSNorm(dim), nn.Linear(dim, s.mouth.hidden_size))

    def forward(self, features: Tensor, where: Tensor) -> Tensor:
        """features: (n, side * fold, side * fold, eye dim), where: (n, 2) -> (n, pooled_tokens, mouth dim)"""
        n, h, w, d = features.shape
        f = self.fold
        x = features.view(n, h // f, f, w // f, f, d).transpose(2, 3).reshape(n, h // f, w // f, f * f * d)
        x = self.inp_norm(self.inp(x)) + self.pos_y + self.pos_x
        memory = x.flatten(1, 2)
        grid = self.cell_row(where[:, 0]) + self.cell_col(where[:, 1])
        x = self.query + grid[:, None]
        for layer in self.layers:
            x = layer(x, memory)
        return self.out(x)
