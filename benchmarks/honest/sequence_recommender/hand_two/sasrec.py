"""Self-attentive sequential recommender."""
import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, dim, heads, dropout):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = nn.MultiheadAttention(dim, heads, dropout=dropout, batch_first=True)
        self.ff = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Dropout(dropout), nn.Linear(dim, dim))
        self.drop = nn.Dropout(dropout)

    def forward(self, x, blocked):
        h = self.norm1(x)
        x = x + self.drop(self.attn(h, h, h, attn_mask=blocked, need_weights=False)[0])
        return x + self.drop(self.ff(self.norm2(x)))


class SASRec(nn.Module):
    def __init__(self, num_items, max_len=50, dim=64, blocks=2, heads=1, dropout=0.2):
        super().__init__()
        self.items = nn.Embedding(num_items + 1, dim, padding_idx=0)
        self.positions = nn.Embedding(max_len, dim)
        self.blocks = nn.ModuleList(Block(dim, heads, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(dim)
        self.drop = nn.Dropout(dropout)
        self.dim, self.heads = dim, heads
        self.apply(self._init)

    @staticmethod
    def _init(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
            elif module.padding_idx is not None:
                module.weight.data[module.padding_idx].zero_()

    def forward(self, seq):
        """(B, N) item ids, left padded with 0 -> (B, N, dim) states."""
        n = seq.size(1)
        real = seq != 0
        x = self.items(seq) * self.dim ** 0.5 + self.positions.weight[:n]
        x = self.drop(x) * real.unsqueeze(-1)
        causal = torch.ones(n, n, dtype=torch.bool, device=seq.device).tril()
        itself = torch.eye(n, dtype=torch.bool, device=seq.device)
        # padded rows keep their own position so that softmax never sees an empty row
        blocked = ~((causal & real.unsqueeze(1)) | itself)
        blocked = blocked.repeat_interleave(self.heads, dim=0)
        for block in self.blocks:
            x = block(x, blocked)
        return self.norm(x)

    def loss(self, seq, positives, negatives):
        states = self(seq)
        pos = (states * self.items(positives)).sum(-1)
        neg = (states * self.items(negatives)).sum(-1)
        weight = (positives != 0).float()
        each = F.softplus(-pos) + F.softplus(neg)
        return (each * weight).sum() / weight.sum().clamp(min=1)

    def rank_scores(self, seq):
        """Scores of the whole catalogue for the step after the sequence; column 0 is padding."""
        return self(seq)[:, -1] @ self.items.weight.t()
