"""Flax modules: (batch, history, variables) in, (batch, future, variables, taus) out.

A point forecaster is one with a single tau.
"""
from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

Stats = tuple[jax.Array, jax.Array]


class InstanceScaler(nn.Module):
    """Normalises every window by itself and can undo that; a scale and an offset per variable are learned."""
    variables_count: int
    epsilon: float = 1e-5

    def setup(self):
        self.scale = self.param("scale", nn.initializers.ones, (self.variables_count,))
        self.offset = self.param("offset", nn.initializers.zeros, (self.variables_count,))

    def apply_to(self, history: jax.Array) -> tuple[jax.Array, Stats]:
        mu = jax.lax.stop_gradient(history.mean(axis=1, keepdims=True))
        sigma = jax.lax.stop_gradient(jnp.sqrt(history.var(axis=1, keepdims=True) + self.epsilon))
        return (history - mu) / sigma * self.scale + self.offset, (mu, sigma)

    def undo(self, future: jax.Array, stats: Stats) -> jax.Array:
        mu, sigma = (jnp.expand_dims(s, -1) for s in stats)
        future = (future - self.offset[:, None]) / (self.scale[:, None] + self.epsilon)
        return future * sigma + mu


class PreNormBlock(nn.Module):
    """The counterpart of a norm-first transformer encoder layer."""
    features: int
    num_heads: int
    mlp_features: int
    drop: float

    def setup(self):
        self.attn_norm = nn.LayerNorm(epsilon=1e-5)
        self.attn = nn.MultiHeadDotProductAttention(num_heads=self.num_heads, qkv_features=self.features,
                                                    dropout_rate=self.drop)
        self.mlp_norm = nn.LayerNorm(epsilon=1e-5)
        self.mlp_in = nn.Dense(self.mlp_features)
        self.mlp_out = nn.Dense(self.features)
        self.attn_dropout = nn.Dropout(self.drop)
        self.inner_dropout = nn.Dropout(self.drop)
        self.mlp_dropout = nn.Dropout(self.drop)

    def __call__(self, h: jax.Array, training: bool) -> jax.Array:
        a = self.attn_norm(h)
        a = self.attn(a, a, deterministic=not training)
        h = h + self.attn_dropout(a, deterministic=not training)
        m = nn.gelu(self.mlp_in(self.mlp_norm(h)), approximate=False)
        m = self.mlp_out(self.inner_dropout(m, deterministic=not training))
        return h + self.mlp_dropout(m, deterministic=not training)


class PatchFormer(nn.Module):
    variables_count: int
    history_len: int
    future_len: int
    n_taus: int = 1
    patch_len: int = 16
    patch_hop: int = 8
    features: int = 128
    num_heads: int = 8
    num_blocks: int = 3
    mlp_features: int = 256
    drop: float = 0.2
    readout_kind: str = "flat"

    def setup(self):
        if self.history_len < self.patch_len:
            raise ValueError("one patch does not fit into the history")
        # the end of the history is repeated until the last patch is complete
        self.tail = -(self.history_len - self.patch_len) % self.patch_hop
        n_patches = (self.history_len + self.tail - self.patch_len) // self.patch_hop + 1
        self.index = jnp.arange(n_patches)[:, None] * self.patch_hop + jnp.arange(self.patch_len)[None, :]
        self.scaler = InstanceScaler(self.variables_count)
        self.patch_dense = nn.Dense(self.features)
        self.position = self.param("position", nn.initializers.normal(0.02), (1, n_patches, self.features))
        self.in_dropout = nn.Dropout(self.drop)
        self.out_dropout = nn.Dropout(self.drop)
        self.blocks = [PreNormBlock(self.features, self.num_heads, self.mlp_features, self.drop)
                       for _ in range(self.num_blocks)]
        self.last_norm = nn.LayerNorm(epsilon=1e-5)
        self.readout = nn.Dense(self.future_len * self.n_taus)

    def __call__(self, history: jax.Array, training: bool = False) -> jax.Array:
        n, _, v = history.shape
        h, stats = self.scaler.apply_to(history)
        h = h.transpose(0, 2, 1).reshape(n * v, -1)
        h = jnp.pad(h, ((0, 0), (0, self.tail)), mode="edge")
        h = h[:, self.index]  # n * v, patches, patch_len
        h = self.in_dropout(self.patch_dense(h) + self.position, deterministic=not training)
        for block in self.blocks:
            h = block(h, training)
        h = self.last_norm(h)
        h = h.mean(axis=1) if self.readout_kind == "mean" else h.reshape(n * v, -1)
        future = self.readout(self.out_dropout(h, deterministic=not training))
        future = future.reshape(n, v, self.future_len, self.n_taus)
        return self.scaler.undo(future.transpose(0, 2, 1, 3), stats)


class SplitLinear(nn.Module):
    """Running mean and what it leaves over, each through its own dense layer that all variables share."""
    history_len: int
    future_len: int
    n_taus: int = 1
    window: int = 25

    def setup(self):
        self.smooth_dense = nn.Dense(self.future_len * self.n_taus)
        self.rest_dense = nn.Dense(self.future_len * self.n_taus)

    def __call__(self, history: jax.Array, training: bool = False) -> jax.Array:
        before = (self.window - 1) // 2
        wide = jnp.pad(history, ((0, 0), (before, self.window - 1 - before), (0, 0)), mode="edge")
        smooth = nn.avg_pool(wide, (self.window,), strides=(1,), padding="VALID")
        rest = history - smooth
        future = self.smooth_dense(smooth.transpose(0, 2, 1)) + self.rest_dense(rest.transpose(0, 2, 1))
        return future.reshape(*future.shape[:2], self.future_len, self.n_taus).transpose(0, 2, 1, 3)


class CycleRepeat(nn.Module):
    """The last cycle once more, and again; the same for every tau."""
    future_len: int
    cycle: int
    n_taus: int = 1

    def __call__(self, history: jax.Array, training: bool = False) -> jax.Array:
        recent = history[:, -self.cycle:]
        index = jnp.arange(self.future_len) % recent.shape[1]
        future = jnp.expand_dims(recent[:, index], -1)
        return jnp.broadcast_to(future, (*future.shape[:-1], self.n_taus))
