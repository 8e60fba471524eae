from dataclasses import dataclass
from typing import List, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class ModelConfig:
    # transformer
    d_model: int = 64
    n_layers: int = 3
    n_heads: int = 8
    ffn_ratio: float = 4 / 3
    attn_dropout: float = 0.2
    ffn_dropout: float = 0.1
    res_dropout: float = 0.0
    # mlp
    mlp_hidden: Tuple[int, ...] = (256, 128)
    mlp_dropout: float = 0.2
    mlp_emb_dim: int = 8

    def __post_init__(self):
        if self.d_model % self.n_heads:
            raise ValueError("d_model must be a multiple of n_heads")


class CatEmbedding(nn.Module):
    def __init__(self, cat_sizes: List[int], dim: int):
        super().__init__()
        starts = torch.tensor([0, *cat_sizes[:-1]]).cumsum(0)
        self.register_buffer("starts", starts[:len(cat_sizes)])
        self.table = nn.Embedding(sum(cat_sizes), dim)
        bound = dim ** -0.5
        nn.init.uniform_(self.table.weight, -bound, bound)

    def forward(self, x_cat: Tensor) -> Tensor:
        return self.table(x_cat + self.starts)


class Tokenizer(nn.Module):
    """Turns every column into one token and puts a CLS token in front."""

    def __init__(self, n_num: int, cat_sizes: List[int], d_model: int):
        super().__init__()
        bound = d_model ** -0.5
        self.cls = nn.Parameter(torch.empty(1, d_model).uniform_(-bound, bound))
        self.weight = nn.Parameter(torch.empty(n_num, d_model).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_num + len(cat_sizes), d_model).uniform_(-bound, bound))
        self.cat_emb = None
        if cat_sizes:
            self.cat_emb = CatEmbedding(cat_sizes, d_model)

    def forward(self, x_num: Tensor, x_cat: Tensor) -> Tensor:
        x = x_num.unsqueeze(-1) * self.weight
        if self.cat_emb is not None:
            x = torch.cat([x, self.cat_emb(x_cat)], dim=1)
        x = x + self.bias
        cls = self.cls.expand(len(x), 1, -1)
        return torch.cat([cls, x], dim=1)


class Attention(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        d = config.d_model
        self.n_heads = config.n_heads
        self.to_q = nn.Linear(d, d)
        self.to_kv = nn.Linear(d, 2 * d)
        self.out = nn.Linear(d, d)
        self.dropout = nn.Dropout(config.attn_dropout)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        k, v = self.to_kv(context).chunk(2, dim=-1)
        q, k, v = self._heads(self.to_q(x)), self._heads(k), self._heads(v)
        attn = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        attn = self.dropout(attn.softmax(dim=-1))
        y = attn @ v
        return self.out(y.transpose(1, 2).flatten(2))


class GatedFFN(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        hidden = int(config.d_model * config.ffn_ratio)
        self.fc1 = nn.Linear(config.d_model, 2 * hidden)
        self.fc2 = nn.Linear(hidden, config.d_model)
        self.dropout = nn.Dropout(config.ffn_dropout)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.fc1(x).chunk(2, dim=-1)
        x = self.dropout(a * F.relu(b))
        return self.fc2(x)


class EncoderLayer(nn.Module):
    def __init__(self, config: ModelConfig, first: bool, last: bool):
        super().__init__()
        self.last = last
        if first:
            self.norm1 = nn.Identity()
        else:
            self.norm1 = nn.LayerNorm(config.d_model)
        self.attention = Attention(config)
        self.norm2 = nn.LayerNorm(config.d_model)
        self.ffn = GatedFFN(config)
        self.dropout = nn.Dropout(config.res_dropout)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm1(x)
        q = h
        if self.last:
            # we only need the CLS position here
            x, q = x[:, :1], h[:, :1]
        x = x + self.dropout(self.attention(q, h))
        x = x + self.dropout(self.ffn(self.norm2(x)))
        return x


class TabTransformer(nn.Module):
    def __init__(self, n_num, cat_sizes, n_outputs, config: ModelConfig):
        super().__init__()
        self.tokenizer = Tokenizer(n_num, cat_sizes, config.d_model)
        layers = []
        for i in range(config.n_layers):
            layers.append(EncoderLayer(config, first=(i == 0), last=(i == config.n_layers - 1)))
        self.encoder = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.LayerNorm(config.d_model), nn.ReLU(), nn.Linear(config.d_model, n_outputs))

    def forward(self, x_num: Tensor, x_cat: Tensor) -> Tensor:
        x = self.encoder(self.tokenizer(x_num, x_cat))
        return self.head(x[:, 0])


class SimpleMLP(nn.Module):
    def __init__(self, n_num, cat_sizes, n_outputs, config: ModelConfig):
        super().__init__()
        dim = config.mlp_emb_dim
        self.cat_emb = CatEmbedding(cat_sizes, dim) if cat_sizes else None
        in_dim = n_num + dim * len(cat_sizes)
        layers = []
        for hidden in config.mlp_hidden:
            layers.append(nn.Linear(in_dim, hidden))
            layers.append(nn.ReLU())
            layers.append(nn.Dropout(config.mlp_dropout))
            in_dim = hidden
        layers.append(nn.Linear(in_dim, n_outputs))
        self.net = nn.Sequential(*layers)

    def forward(self, x_num: Tensor, x_cat: Tensor) -> Tensor:
        x = x_num
        if self.cat_emb is not None:
            x = torch.cat([x, self.cat_emb(x_cat).flatten(1)], dim=1)
        return self.net(x)


MODELS = {"mlp": SimpleMLP, "transformer": TabTransformer}


def build_model(name: str, n_num: int, cat_sizes: List[int], n_outputs: int, config: ModelConfig) -> nn.Module:
    if name not in MODELS:
        raise ValueError(f"No such model: {name}")
    return MODELS[name](n_num, cat_sizes, n_outputs, config)
