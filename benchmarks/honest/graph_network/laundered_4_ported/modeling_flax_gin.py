"""GIN with bond embeddings, a virtual node and attention pooling, in Flax."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn.initializers import normal

from mol_arrays import ATOM_CARDINALITIES, BOND_CARDINALITIES


def segment_softmax(logits, segment_ids, num_segments):
    maxima = jax.ops.segment_max(jax.lax.stop_gradient(logits), segment_ids, num_segments)
    exponentials = jnp.exp(logits - maxima[segment_ids])
    return exponentials / jax.ops.segment_sum(exponentials, segment_ids, num_segments)[segment_ids]


class FlaxCodeEmbedding(nn.Module):
    cardinalities: tuple
    features: int
    stddev: float

    @nn.compact
    def __call__(self, codes):
        return sum(
            nn.Embed(cardinality, self.features, embedding_init=normal(self.stddev))(codes[:, column])
            for column, cardinality in enumerate(self.cardinalities)
        )


class FlaxMlp(nn.Module):
    hidden: int
    features: int

    @nn.compact
    def __call__(self, inputs):
        fan_in = inputs.shape[-1]
        hidden = nn.Dense(self.hidden, kernel_init=normal((2 / fan_in) ** 0.5))(inputs)
        return nn.Dense(self.features, kernel_init=normal(self.hidden**-0.5))(nn.relu(hidden))


class FlaxLevelMixer(nn.Module):
    mode: str

    @nn.compact
    def __call__(self, levels):
        num_levels, features = len(levels), levels[0].shape[-1]
        if self.mode == "concat":
            kernel = self.param(
                "kernel", normal((num_levels * features) ** -0.5), (num_levels, features, features)
            )
            return jnp.einsum("lnd,lde->ne", jnp.stack(levels), kernel)
        if self.mode == "max":
            return jnp.stack(levels).max(axis=0)
        return levels[-1]


class FlaxAttentionPool(nn.Module):
    num_heads: int

    @nn.compact
    def __call__(self, nodes, graph_ids, num_graphs):
        features = nodes.shape[-1]
        gate = self.param("gate", normal(features**-0.5), (features, self.num_heads))
        value = self.param("value", normal(features**-0.5), (features, self.num_heads, features // self.num_heads))
        attention = segment_softmax(nodes @ gate, graph_ids, num_graphs)
        values = jnp.einsum("nd,dkf->nkf", nodes, value)
        pooled = jax.ops.segment_sum(attention[..., None] * values, graph_ids, num_graphs)
        return pooled.reshape(num_graphs, -1)


class FlaxVirtualNodeGin(nn.Module):
    num_targets: int
    features: int = 192
    num_layers: int = 5
    num_heads: int = 4
    dropout_rate: float = 0.2
    level_mode: str = "concat"

    @nn.compact
    def __call__(self, batch, deterministic=True):
        num_graphs, num_nodes = len(batch.targets), len(batch.node_codes)
        dropout = nn.Dropout(self.dropout_rate, deterministic=deterministic)
        nodes = FlaxCodeEmbedding(
            ATOM_CARDINALITIES, self.features, len(ATOM_CARDINALITIES) ** -0.5, name="atom_embedding"
        )(batch.node_codes)
        virtual = self.param("virtual", nn.initializers.zeros, (self.features,))
        virtual = jnp.broadcast_to(virtual, (num_graphs, self.features))
        levels = [nodes]
        for layer in range(self.num_layers):
            nodes = nodes + virtual[batch.graph_ids]
            edges = FlaxCodeEmbedding(BOND_CARDINALITIES, self.features, 0.5, name=f"bond_embedding_{layer}")(
                batch.edge_codes
            )
            messages = jax.ops.segment_sum(nn.relu(nodes[batch.senders] + edges), batch.receivers, num_nodes)
            epsilon = self.param(f"epsilon_{layer}", nn.initializers.zeros, ())
            update = FlaxMlp(2 * self.features, self.features, name=f"atom_mlp_{layer}")(
                (1 + epsilon) * nodes + messages
            )
            update = nn.LayerNorm(epsilon=1e-5, name=f"atom_norm_{layer}")(update)
            if layer < self.num_layers - 1:  # no later layer reads the last virtual node
                pooled = virtual + jax.ops.segment_sum(nodes, batch.graph_ids, num_graphs)
                pooled = FlaxMlp(2 * self.features, self.features, name=f"virtual_mlp_{layer}")(pooled)
                pooled = nn.relu(nn.LayerNorm(epsilon=1e-5, name=f"virtual_norm_{layer}")(pooled))
                virtual = virtual + dropout(pooled)
                update = nn.relu(update)
            nodes = nodes + dropout(update)
            levels.append(nodes)
        nodes = FlaxLevelMixer(self.level_mode, name="mixer")(levels)
        graphs = FlaxAttentionPool(self.num_heads, name="pool")(nodes, batch.graph_ids, num_graphs)
        return FlaxMlp(self.features, self.num_targets, name="classifier")(dropout(graphs))
