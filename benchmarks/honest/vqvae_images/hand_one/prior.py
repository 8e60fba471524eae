import torch
from torch import nn


class CodePrior(nn.Module):
    """Decoder-only transformer over code indices read in raster order."""

    def __init__(self, num_codes, side, dim=256, heads=8, depth=6, dropout=0.1):
        super().__init__()
        self.config = dict(num_codes=num_codes, side=side, dim=dim, heads=heads, depth=depth,
                           dropout=dropout)
        self.side, self.start = side, num_codes
        length = side * side
        self.token = nn.Embedding(num_codes + 1, dim)  # one extra entry for the start token
        self.place = nn.Parameter(0.02 * torch.randn(length, dim))
        layer = nn.TransformerEncoderLayer(dim, heads, 4 * dim, dropout, activation="gelu",
                                           batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, depth, norm=nn.LayerNorm(dim),
                                            enable_nested_tensor=False)
        self.head = nn.Linear(dim, num_codes)
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        self.register_buffer("future", future, persistent=False)

    def forward(self, tokens):
        n = tokens.shape[1]
        x = self.token(tokens) + self.place[:n]
        return self.head(self.blocks(x, mask=self.future[:n, :n]))

    def loss(self, index):
        target = index.flatten(1)
        begin = torch.full_like(target[:, :1], self.start)
        logits = self(torch.cat([begin, target[:, :-1]], dim=1))
        return nn.functional.cross_entropy(logits.transpose(1, 2), target)

    @torch.no_grad()
    def sample(self, count, temperature=1.0, top_k=0):
        tokens = torch.full((count, 1), self.start, device=self.place.device)
        for _ in range(self.side ** 2):
            logits = self(tokens)[:, -1] / temperature
            if top_k:
                floor = logits.topk(top_k).values[:, -1:]
                logits = logits.masked_fill(logits < floor, float("-inf"))
            tokens = torch.cat([tokens, torch.multinomial(logits.softmax(-1), 1)], dim=1)
        return tokens[:, 1:].view(count, self.side, self.side)
