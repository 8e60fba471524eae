"""Autoregressive transformer over dictionary ids (Flax)."""
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax


class PreNormLayer(nn.Module):
    """What torch calls TransformerEncoderLayer(norm_first=True, activation="gelu")."""
    hidden: int
    num_heads: int
    mlp_dim: int
    rate: float

    @nn.compact
    def __call__(self, x, mask, train=False):
        h = nn.LayerNorm(epsilon=1e-5)(x)
        h = nn.MultiHeadDotProductAttention(self.num_heads, dropout_rate=self.rate,
                                            deterministic=not train)(h, h, mask=mask)
        x = x + nn.Dropout(self.rate, deterministic=not train)(h)
        h = nn.LayerNorm(epsilon=1e-5)(x)
        h = nn.gelu(nn.Dense(self.mlp_dim)(h), approximate=False)
        h = nn.Dropout(self.rate, deterministic=not train)(h)
        h = nn.Dense(self.hidden)(h)
        return x + nn.Dropout(self.rate, deterministic=not train)(h)


class IdTransformer(nn.Module):
    """Reads the id map line by line and predicts the id that follows."""
    num_atoms: int
    map_side: int
    hidden: int = 256
    num_heads: int = 8
    num_layers: int = 6
    rate: float = 0.1

    @property
    def settings(self):
        return dict(num_atoms=self.num_atoms, map_side=self.map_side, hidden=self.hidden,
                    num_heads=self.num_heads, num_layers=self.num_layers, rate=self.rate)

    @property
    def first_id(self):
        return self.num_atoms

    def setup(self):
        steps = self.map_side * self.map_side
        # the additional row is for the id that opens every sequence
        self.id_embed = nn.Embed(self.num_atoms + 1, self.hidden,
                                 embedding_init=nn.initializers.normal(1.0))
        self.pos_embed = self.param("pos_embed", nn.initializers.normal(0.02), (steps, self.hidden))
        self.layers = [PreNormLayer(self.hidden, self.num_heads, 4 * self.hidden, self.rate)
                       for _ in range(self.num_layers)]
        self.final_norm = nn.LayerNorm(epsilon=1e-5)
        self.classifier = nn.Dense(self.num_atoms)

    def __call__(self, ids, train=False):
        steps = ids.shape[1]
        x = self.id_embed(ids) + self.pos_embed[:steps]
        visible = jnp.tril(jnp.ones((1, 1, steps, steps), dtype=bool))
        for layer in self.layers:
            x = layer(x, visible, train=train)
        return self.classifier(self.final_norm(x))

    def cross_entropy(self, id_map, train=True):
        labels = id_map.reshape(id_map.shape[0], -1)
        first = jnp.full_like(labels[:, :1], self.first_id)
        logits = self(jnp.concatenate([first, labels[:, :-1]], axis=1), train=train)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def generate(model, variables, key, batch, temp=1.0, k=0):
    """Sequences are kept at full length; the causal mask hides what is not drawn yet."""
    steps = model.map_side ** 2
    ids = jnp.full((batch, steps + 1), model.first_id, dtype=jnp.int32)

    @jax.jit
    def next_id(ids, position, key):
        logits = model.apply(variables, ids[:, :-1])
        logits = jnp.take(logits, position, axis=1) / temp
        if k:
            smallest = jax.lax.top_k(logits, k)[0][:, -1:]
            logits = jnp.where(logits < smallest, -jnp.inf, logits)
        return ids.at[:, position + 1].set(jax.random.categorical(key, logits, axis=-1))

    for position in range(steps):
        key, subkey = jax.random.split(key)
        ids = next_id(ids, position, subkey)
    return ids[:, 1:].reshape(batch, model.map_side, model.map_side)
