"""A pre-norm transformer encoder."""

import torch
from torch import nn
from torch.nn import functional as F


class SelfAttention(nn.Module):
    def __init__(self, dim, num_heads, num_blocks):
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = dim // num_heads
        inner = num_heads * self.head_dim
        self.query = nn.Linear(dim, inner, bias=False)
        self.key = nn.Linear(dim, inner, bias=False)
        self.value = nn.Linear(dim, inner, bias=False)
        self.merge = nn.Linear(inner, dim, bias=False)
        for layer in (self.query, self.key, self.value):
            nn.init.normal_(layer.weight, std=dim**-0.5)
        nn.init.normal_(self.merge.weight, std=(2 * num_blocks * dim) ** -0.5)

    def split(self, x):
        return x.unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)

    def forward(self, x, padding_mask):
        queries, keys, values = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        allowed = None if padding_mask is None else ~padding_mask.unsqueeze(1).unsqueeze(1)
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=allowed)
        return self.merge(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Sequential):
    def __init__(self, dim, num_blocks):
        expand, contract = nn.Linear(dim, dim * 4), nn.Linear(dim * 4, dim)
        nn.init.normal_(expand.weight, std=dim**-0.5)
        nn.init.normal_(contract.weight, std=(8 * num_blocks * dim) ** -0.5)
        for layer in (expand, contract):
            nn.init.zeros_(layer.bias)
        super().__init__(expand, nn.GELU(), contract)


class EncoderBlock(nn.Module):
    def __init__(self, dim, num_heads, num_blocks):
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = SelfAttention(dim, num_heads, num_blocks)
        self.feed_norm = nn.LayerNorm(dim)
        self.feed = FeedForward(dim, num_blocks)

    def forward(self, x, padding_mask=None):
        x = x + self.attention(self.attention_norm(x), padding_mask)
        return x + self.feed(self.feed_norm(x))


class Encoder(nn.Module):
    def __init__(self, dim, num_heads, num_blocks, out_dim):
        super().__init__()
        self.blocks = nn.ModuleList([EncoderBlock(dim, num_heads, num_blocks) for _ in range(num_blocks)])
        self.final_norm = nn.LayerNorm(dim)
        self.projection = nn.Linear(dim, out_dim, bias=False)
        nn.init.normal_(self.projection.weight, std=dim**-0.5)

    def run_blocks(self, x, padding_mask=None):
        for block in self.blocks:
            x = block(x, padding_mask)
        return x

    def project(self, x):
        return F.normalize(self.projection(x), dim=-1, eps=1e-8)


def small_normal(*shape):
    return nn.Parameter(torch.empty(*shape).normal_(std=0.02))
