"""Flax modules: the per-column token transformer, a dense reference net, and a function to make them."""
from dataclasses import dataclass
from typing import Callable, Tuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn


@dataclass(frozen=True)
class NetOptions:
    dim: int = 64
    layers: int = 3
    heads: int = 8
    mlp_ratio: float = 4 / 3
    attn_drop_rate: float = 0.2
    mlp_drop_rate: float = 0.1
    skip_drop_rate: float = 0.0
    dense_widths: Tuple[int, ...] = (256, 256)
    dense_drop_rate: float = 0.1
    dense_symbol_dim: int = 8

    def __post_init__(self):
        if self.dim % self.heads != 0:
            raise ValueError(f"dim {self.dim} cannot be shared among {self.heads} heads")


def symmetric_uniform(bound: float) -> Callable:
    def draw(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, minval=-bound, maxval=bound)

    return draw


def linear(in_features: int, out_features: int) -> nn.Dense:
    draw = symmetric_uniform(in_features ** -0.5)
    return nn.Dense(out_features, kernel_init=draw, bias_init=draw)


def layer_norm() -> nn.LayerNorm:
    return nn.LayerNorm(epsilon=1e-5)


class SymbolTable(nn.Module):
    """A single matrix with the vectors of every level; each column reads from its own start row."""

    level_counts: Tuple[int, ...]
    dim: int

    def setup(self):
        self.starts = np.cumsum([0, *self.level_counts[:-1]])
        self.lookup = nn.Embed(sum(self.level_counts), self.dim,
                               embedding_init=symmetric_uniform(self.dim ** -0.5))

    def __call__(self, symbols):
        return self.lookup(symbols + self.starts)


class ColumnTokens(nn.Module):
    real_count: int
    level_counts: Tuple[int, ...]
    dim: int

    def setup(self):
        draw = symmetric_uniform(self.dim ** -0.5)
        self.class_token = self.param("class_token", draw, (1, self.dim))
        self.real_scale = self.param("real_scale", draw, (self.real_count, self.dim))
        self.column_shift = self.param("column_shift", draw, (self.real_count + len(self.level_counts), self.dim))
        self.symbol_table = SymbolTable(self.level_counts, self.dim) if self.level_counts else None

    def __call__(self, reals, symbols):
        x = jnp.expand_dims(reals, -1) * self.real_scale
        if self.symbol_table is not None:
            x = jnp.concatenate([x, self.symbol_table(symbols)], axis=1)
        class_tokens = jnp.broadcast_to(self.class_token, (x.shape[0], 1, self.dim))
        return jnp.concatenate([class_tokens, x + self.column_shift], axis=1)


class HeadedAttention(nn.Module):
    options: NetOptions

    def setup(self):
        dim = self.options.dim
        self.q_proj = linear(dim, dim)
        self.kv_proj = linear(dim, 2 * dim)
        self.out_proj = linear(dim, dim)
        self.drop = nn.Dropout(self.options.attn_drop_rate)

    def _to_heads(self, x):
        return x.reshape(*x.shape[:-1], self.options.heads, -1).swapaxes(1, 2)

    def __call__(self, asking, memory, deterministic: bool):
        q = self._to_heads(self.q_proj(asking))
        k, v = (self._to_heads(half) for half in jnp.split(self.kv_proj(memory), 2, axis=-1))
        logits = q @ k.swapaxes(-2, -1) / q.shape[-1] ** 0.5
        blended = self.drop(nn.softmax(logits, axis=-1), deterministic=deterministic) @ v
        blended = blended.swapaxes(1, 2)
        return self.out_proj(blended.reshape(*blended.shape[:2], -1))


class GatedReluMlp(nn.Module):
    options: NetOptions

    def setup(self):
        inner = int(self.options.dim * self.options.mlp_ratio)
        self.widen = linear(self.options.dim, 2 * inner)
        self.narrow = linear(inner, self.options.dim)
        self.drop = nn.Dropout(self.options.mlp_drop_rate)

    def __call__(self, x, deterministic: bool):
        signal, gate = jnp.split(self.widen(x), 2, axis=-1)
        return self.narrow(self.drop(signal * nn.relu(gate), deterministic=deterministic))


class NormFirstLayer(nn.Module):
    options: NetOptions
    opening: bool
    closing: bool

    def setup(self):
        # No norm on the raw tokens of the opening layer, it trains better like this.
        self.attn_norm = None if self.opening else layer_norm()
        self.attn = HeadedAttention(self.options)
        self.mlp_norm = layer_norm()
        self.mlp = GatedReluMlp(self.options)
        self.skip_drop = nn.Dropout(self.options.skip_drop_rate)

    def __call__(self, x, deterministic: bool):
        normed = x if self.attn_norm is None else self.attn_norm(x)
        if self.closing:  # after the closing layer only the class token is looked at
            x, asking = x[:, :1], normed[:, :1]
        else:
            asking = normed
        x = x + self.skip_drop(self.attn(asking, normed, deterministic), deterministic=deterministic)
        return x + self.skip_drop(self.mlp(self.mlp_norm(x), deterministic), deterministic=deterministic)


class Readout(nn.Module):
    dim: int
    out_features: int

    def setup(self):
        self.norm = layer_norm()
        self.proj = linear(self.dim, self.out_features)

    def __call__(self, class_state):
        return self.proj(nn.relu(self.norm(class_state)))


class ColumnTokenTransformer(nn.Module):
    real_count: int
    level_counts: Tuple[int, ...]
    out_features: int
    options: NetOptions

    def setup(self):
        self.column_tokens = ColumnTokens(self.real_count, self.level_counts, self.options.dim)
        final = self.options.layers - 1
        self.stack = [NormFirstLayer(self.options, i == 0, i == final) for i in range(self.options.layers)]
        self.readout = Readout(self.options.dim, self.out_features)

    def __call__(self, reals, symbols, deterministic: bool = True):
        x = self.column_tokens(reals, symbols)
        for layer in self.stack:
            x = layer(x, deterministic)
        return self.readout(x[:, 0])


class DenseReference(nn.Module):
    real_count: int
    level_counts: Tuple[int, ...]
    out_features: int
    options: NetOptions

    def setup(self):
        dim = self.options.dense_symbol_dim
        self.symbol_table = SymbolTable(self.level_counts, dim) if self.level_counts else None
        in_features, hidden = self.real_count + dim * len(self.level_counts), []
        for width in self.options.dense_widths:
            hidden.append(linear(in_features, width))
            in_features = width
        self.hidden = hidden
        self.drop = nn.Dropout(self.options.dense_drop_rate)
        self.final = linear(in_features, self.out_features)

    def __call__(self, reals, symbols, deterministic: bool = True):
        x = reals
        if self.symbol_table is not None:
            x = jnp.concatenate([x, self.symbol_table(symbols).reshape(x.shape[0], -1)], axis=1)
        for layer in self.hidden:
            x = self.drop(nn.relu(layer(x)), deterministic=deterministic)
        return self.final(x)


NETS = {"transformer": ColumnTokenTransformer, "mlp": DenseReference}


def make_net(kind: str, real_count: int, level_counts: Tuple[int, ...], out_features: int,
             options: NetOptions) -> nn.Module:
    if kind not in NETS:
        raise ValueError(f"No net '{kind}'; there are {sorted(NETS)}")
    return NETS[kind](real_count, level_counts, out_features, options)
