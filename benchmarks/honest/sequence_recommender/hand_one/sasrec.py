import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, dim, heads, dropout):
        super().__init__()
        self.norm_a, self.norm_f = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = nn.MultiheadAttention(dim, heads, dropout=dropout, batch_first=True)
        self.feed = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Dropout(dropout),
                                  nn.Linear(dim, dim), nn.Dropout(dropout))

    def forward(self, x, blocked):
        h = self.norm_a(x)
        x = x + self.attention(h, h, h, attn_mask=blocked, need_weights=False)[0]
        return x + self.feed(self.norm_f(x))


class SASRec(nn.Module):
    def __init__(self, num_items, max_len=50, dim=64, heads=2, depth=2, dropout=0.2):
        super().__init__()
        self.max_len, self.heads = max_len, heads
        self.items = nn.Embedding(num_items + 1, dim, padding_idx=0)
        self.positions = nn.Embedding(max_len, dim)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(dim, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        nn.init.normal_(self.items.weight, std=dim ** -0.5)
        with torch.no_grad():
            self.items.weight[0].zero_()

    def attention_mask(self, seq):
        """True where attention is forbidden: the future and padding, but never a position itself."""
        n = seq.shape[1]
        future = torch.ones(n, n, dtype=torch.bool, device=seq.device).triu(1)
        own = torch.eye(n, dtype=torch.bool, device=seq.device)
        blocked = (future | (seq == 0).unsqueeze(1)) & ~own
        return blocked.repeat_interleave(self.heads, dim=0)

    def forward(self, seq):
        x = self.items(seq) * self.items.embedding_dim ** 0.5
        x = self.dropout(x + self.positions.weight[-seq.shape[1]:])
        blocked = self.attention_mask(seq)
        for block in self.blocks:
            x = block(x, blocked)
        return self.norm(x)

    def loss(self, seq, positive, negative):
        hidden = self(seq)
        real = positive > 0
        up = (hidden * self.items(positive)).sum(-1)[real]
        down = (hidden * self.items(negative)).sum(-1)[real]
        return -(F.logsigmoid(up) + F.logsigmoid(-down)).mean()

    def scores(self, seq):
        """Scores of every item as the continuation of each sequence; padding scores -inf."""
        out = self(seq)[:, -1] @ self.items.weight.t()
        out[:, 0] = float("-inf")
        return out
