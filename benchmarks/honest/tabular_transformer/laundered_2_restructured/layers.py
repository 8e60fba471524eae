"""Building blocks of the column transformer."""
import itertools

import torch
import torch.nn as nn
import torch.nn.functional as F


class JointEmbedding(nn.Module):
    """One shared weight matrix for all discrete columns; column j starts at row starts[j]."""

    def __init__(self, width, n_categories):
        super().__init__()
        ends = list(itertools.accumulate(n_categories))
        self.register_buffer("starts", torch.tensor([0] + ends[:-1], dtype=torch.long))
        self.weight = nn.Parameter(uniform_rows(ends[-1], width))

    def forward(self, disc):
        return F.embedding(self.starts + disc, self.weight)


def uniform_rows(n_rows, width):
    bound = 1.0 / width ** 0.5
    return (torch.rand(n_rows, width) * 2 - 1) * bound


def joint_embedding_or_none(width, n_categories):
    if len(n_categories) == 0:
        return None
    return JointEmbedding(width, n_categories)


class ColumnEmbedder(nn.Module):
    def __init__(self, width, n_cont, n_categories):
        super().__init__()
        self.summary = nn.Parameter(uniform_rows(1, width))
        self.cont_scale = nn.Parameter(uniform_rows(n_cont, width))
        self.shift = nn.Parameter(uniform_rows(n_cont + len(n_categories), width))
        self.table = joint_embedding_or_none(width, n_categories)

    def forward(self, cont, disc):
        columns = [torch.einsum("bn,nd->bnd", cont, self.cont_scale)]
        if self.table is not None:
            columns.append(self.table(disc))
        columns = torch.cat(columns, 1) + self.shift
        summary = self.summary.unsqueeze(0).repeat(columns.size(0), 1, 1)
        return torch.cat((summary, columns), 1)


class EncoderLayer(nn.Module):
    """Pre-norm attention followed by a ReGLU feed-forward part, in a single module."""

    def __init__(self, cfg, position):
        super().__init__()
        width = cfg.width
        inner = int(width * cfg.ffn_ratio)
        self.n_heads = cfg.n_heads
        self.attn_drop = cfg.attn_drop
        self.ffn_drop = cfg.ffn_drop
        self.skip_drop = cfg.skip_drop
        self.summary_only = position == cfg.depth - 1
        # Raw column embeddings enter layer zero as they are: training goes better so.
        self.norm_attn = nn.LayerNorm(width) if position > 0 else None
        self.norm_ffn = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, width)
        self.to_kv = nn.Linear(width, width * 2)
        self.to_out = nn.Linear(width, width)
        self.ffn_in = nn.Linear(width, inner * 2)
        self.ffn_out = nn.Linear(inner, width)

    def _heads(self, x):
        batch, length, width = x.shape
        return x.view(batch, length, self.n_heads, width // self.n_heads).permute(0, 2, 1, 3)

    def _attend(self, source, memory):
        k, v = torch.tensor_split(self.to_kv(memory), 2, dim=-1)
        out = F.scaled_dot_product_attention(
            self._heads(self.to_q(source)),
            self._heads(k),
            self._heads(v),
            dropout_p=self.attn_drop if self.training else 0.0,
        )
        return self.to_out(out.permute(0, 2, 1, 3).reshape(source.shape))

    def _feed(self, x):
        value, gate = torch.tensor_split(self.ffn_in(self.norm_ffn(x)), 2, dim=-1)
        return self.ffn_out(F.dropout(torch.relu(gate) * value, self.ffn_drop, self.training))

    def _skip(self, x, update):
        return x + F.dropout(update, self.skip_drop, self.training)

    def forward(self, x):
        memory = x if self.norm_attn is None else self.norm_attn(x)
        source = memory
        if self.summary_only:  # the layers end here and only token zero is used afterwards
            x, source = x[:, 0:1], memory[:, 0:1]
        x = self._skip(x, self._attend(source, memory))
        return self._skip(x, self._feed(x))
