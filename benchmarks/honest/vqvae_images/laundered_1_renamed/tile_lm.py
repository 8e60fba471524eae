import torch
from torch import nn


class TileLM(nn.Module):
    """Predicts the next tile of a picture, row after row, with causal attention."""

    def __init__(
        self,
        n_tiles,
        edge,
        d_model=256,
        n_heads=8,
        n_layers=6,
        p_drop=0.1,
    ):
        super().__init__()
        self.hparams = dict(
            n_tiles=n_tiles,
            edge=edge,
            d_model=d_model,
            n_heads=n_heads,
            n_layers=n_layers,
            p_drop=p_drop,
        )
        self.edge, self.bos = edge, n_tiles
        seq_len = edge * edge
        # the last row of the table belongs to the opening symbol
        self.tile_emb = nn.Embedding(n_tiles + 1, d_model)
        self.pos_emb = nn.Parameter(0.02 * torch.randn(seq_len, d_model))
        template = nn.TransformerEncoderLayer(
            d_model,
            n_heads,
            4 * d_model,
            p_drop,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.trunk = nn.TransformerEncoder(
            template,
            n_layers,
            norm=nn.LayerNorm(d_model),
            enable_nested_tensor=False,
        )
        self.to_scores = nn.Linear(d_model, n_tiles)
        hidden = torch.ones(seq_len, seq_len, dtype=torch.bool).triu(1)
        self.register_buffer("hidden", hidden, persistent=False)

    def forward(self, seq):
        t = seq.shape[1]
        h = self.tile_emb(seq) + self.pos_emb[:t]
        return self.to_scores(self.trunk(h, mask=self.hidden[:t, :t]))

    def nll(self, grid):
        wanted = grid.flatten(1)
        opening = torch.full_like(wanted[:, :1], self.bos)
        scores = self(torch.cat([opening, wanted[:, :-1]], dim=1))
        return nn.functional.cross_entropy(scores.transpose(1, 2), wanted)

    @torch.no_grad()
    def dream(self, how_many, temp=1.0, keep_best=0):
        seq = torch.full(
            (how_many, 1), self.bos, device=self.pos_emb.device
        )
        for _ in range(self.edge ** 2):
            scores = self(seq)[:, -1] / temp
            if keep_best:
                cutoff = scores.topk(keep_best).values[:, -1:]
                scores = scores.masked_fill(scores < cutoff, float("-inf"))
            seq = torch.cat(
                [seq, torch.multinomial(scores.softmax(-1), 1)], dim=1
            )
        return seq[:, 1:].view(how_many, self.edge, self.edge)
