"""The repeated part of the network."""
import torch
import torch.nn as nn
import torch.nn.functional as fn

FUSED_ATTENTION = getattr(fn, "scaled_dot_product_attention", None)


def attend_by_hand(query, key, value, rate):
    steps, dim = query.size(-2), query.size(-1)
    visible = torch.tril(torch.ones(steps, steps, dtype=torch.bool, device=query.device))
    weights = torch.einsum("bhid,bhjd->bhij", query, key) * dim ** -0.5
    weights = torch.where(visible, weights, torch.full_like(weights, float("-inf")))
    weights = fn.dropout(torch.softmax(weights, dim=-1), p=rate)
    return torch.einsum("bhij,bhjd->bhid", weights, value)


def causal_attention(query, key, value, rate):
    if FUSED_ATTENTION is None:
        return attend_by_hand(query, key, value, rate)
    return FUSED_ATTENTION(query, key, value, is_causal=True, dropout_p=rate)


class Block(nn.Module):
    """Self-attention and the feed-forward net, both pre-normalised, in a single module."""

    def __init__(self, embed_dim, num_heads, drop_rate):
        super().__init__()
        if embed_dim % num_heads != 0:
            raise ValueError(f"{num_heads} heads do not fit into a dimension of {embed_dim}")
        self.num_heads = num_heads
        self.drop_rate = drop_rate
        self.ln1 = nn.LayerNorm(embed_dim)
        self.ln2 = nn.LayerNorm(embed_dim)
        self.in_proj = nn.Linear(embed_dim, embed_dim * 3)
        self.out_proj = nn.Linear(embed_dim, embed_dim)
        self.ffn = nn.Sequential(
            nn.Linear(embed_dim, embed_dim * 4),
            nn.GELU(approximate="tanh"),
            nn.Linear(embed_dim * 4, embed_dim),
            nn.Dropout(drop_rate),
        )

    def residual_writers(self):
        return self.out_proj, self.ffn[2]

    def split_heads(self, t):
        return t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def mix(self, h):
        rate = 0.0
        if self.training:
            rate = self.drop_rate
        query, key, value = (self.split_heads(t) for t in self.in_proj(h).chunk(3, dim=-1))
        joined = causal_attention(query, key, value, rate).transpose(1, 2).flatten(2)
        return fn.dropout(self.out_proj(joined), p=rate)

    def forward(self, h):
        h = h + self.mix(self.ln1(h))
        h = h + self.ffn(self.ln2(h))
        return h
