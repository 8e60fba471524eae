"""Decoder-only transformer in the style of GPT-2."""
import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class ModelConfig:
    vocab_size: int = 50304
    context: int = 1024
    depth: int = 12
    heads: int = 12
    width: int = 768
    dropout: float = 0.0


class Attention(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        if cfg.width % cfg.heads:
            raise ValueError(f"width {cfg.width} is not divisible by {cfg.heads} heads")
        self.heads = cfg.heads
        self.dropout = cfg.dropout
        self.to_qkv = nn.Linear(cfg.width, 3 * cfg.width)
        self.out = nn.Linear(cfg.width, cfg.width)
        self.has_flash = hasattr(F, "scaled_dot_product_attention")
        if not self.has_flash:
            future = torch.ones(cfg.context, cfg.context, dtype=torch.bool).triu(1)
            self.register_buffer("future", future, persistent=False)

    def forward(self, x):
        batch, length, width = x.shape
        qkv = self.to_qkv(x).reshape(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        p = self.dropout if self.training else 0.0
        if self.has_flash:
            mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=True)
        else:
            scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
            scores = scores.masked_fill(self.future[:length, :length], float("-inf"))
            mixed = F.dropout(scores.softmax(-1), p) @ v
        mixed = mixed.transpose(1, 2).reshape(batch, length, width)
        return F.dropout(self.out(mixed), p)


class Layer(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.norm_attn = nn.LayerNorm(cfg.width)
        self.attn = Attention(cfg)
        self.norm_mlp = nn.LayerNorm(cfg.width)
        self.up = nn.Linear(cfg.width, 4 * cfg.width)
        self.down = nn.Linear(4 * cfg.width, cfg.width)
        self.drop = nn.Dropout(cfg.dropout)

    def forward(self, x):
        x = x + self.attn(self.norm_attn(x))
        hidden = F.gelu(self.up(self.norm_mlp(x)), approximate="tanh")
        return x + self.drop(self.down(hidden))


class Transformer(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.tokens = nn.Embedding(cfg.vocab_size, cfg.width)
        self.positions = nn.Embedding(cfg.context, cfg.width)
        self.drop = nn.Dropout(cfg.dropout)
        self.layers = nn.ModuleList([Layer(cfg) for _ in range(cfg.depth)])
        self.norm = nn.LayerNorm(cfg.width)
        self.reset_parameters()

    def reset_parameters(self):
        for m in self.modules():
            if isinstance(m, (nn.Linear, nn.Embedding)):
                nn.init.normal_(m.weight, std=0.02)
            if isinstance(m, nn.Linear):
                nn.init.zeros_(m.bias)
        # Every layer adds to the residual stream twice.
        residual_std = 0.02 / math.sqrt(2 * self.cfg.depth)
        for layer in self.layers:
            nn.init.normal_(layer.attn.out.weight, std=residual_std)
            nn.init.normal_(layer.down.weight, std=residual_std)

    def forward(self, ids):
        length = ids.shape[1]
        if length > self.cfg.context:
            raise ValueError(f"sequence of {length} exceeds the context of {self.cfg.context}")
        x = self.drop(self.tokens(ids) + self.positions.weight[:length])
        for layer in self.layers:
            x = layer(x)
        # The output projection is the embedding matrix itself.
        return F.linear(self.norm(x), self.tokens.weight)

    def param_groups(self, weight_decay):
        """Matrices are decayed; biases and norm gains are not."""
        params = [p for p in self.parameters() if p.requires_grad]
        return [
            {"params": [p for p in params if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0},
        ]
