"""Causal self-attention over item sequences."""
import flax.linen as nn
import jax.numpy as jnp


class Block(nn.Module):
    heads: int
    dropout: float

    @nn.compact
    def __call__(self, x, mask, train):
        dim = x.shape[-1]
        h = nn.LayerNorm()(x)
        h = nn.MultiHeadDotProductAttention(
            num_heads=self.heads, dropout_rate=self.dropout, deterministic=not train,
        )(h, h, mask=mask)
        x = x + nn.Dropout(self.dropout, deterministic=not train)(h)
        h = nn.LayerNorm()(x)
        h = nn.relu(nn.Dense(dim)(h))
        h = nn.Dense(dim)(h)
        return x + nn.Dropout(self.dropout, deterministic=not train)(h)


class SelfAttentiveRecommender(nn.Module):
    n_items: int
    length: int
    dim: int = 64
    depth: int = 2
    heads: int = 2
    dropout: float = 0.2

    def setup(self):
        scale = nn.initializers.normal(0.02)
        self.items = nn.Embed(self.n_items + 1, self.dim, embedding_init=scale)
        self.positions = self.param("positions", scale, (self.length, self.dim))
        self.blocks = [Block(self.heads, self.dropout) for _ in range(self.depth)]
        self.final_norm = nn.LayerNorm()
        self.input_dropout = nn.Dropout(self.dropout)

    def __call__(self, seq, train=False):
        """(batch, length) item ids -> (batch, length, dim) states."""
        real = seq > 0
        keep = real[..., None]
        mask = nn.combine_masks(nn.make_causal_mask(seq),
                                nn.make_attention_mask(jnp.ones_like(real), real))
        x = self.items(seq) * self.dim ** 0.5 + self.positions
        x = self.input_dropout(x, deterministic=not train) * keep
        for block in self.blocks:
            x = block(x, mask, train) * keep
        return self.final_norm(x)

    def pair_logits(self, seq, positives, negatives, train=True):
        states = self(seq, train)
        return ((states * self.items(positives)).sum(-1),
                (states * self.items(negatives)).sum(-1))

    def rank_scores(self, seq):
        """Scores of the whole catalogue (column 0 is padding) after the last item."""
        return self.items.attend(self(seq)[:, -1])
