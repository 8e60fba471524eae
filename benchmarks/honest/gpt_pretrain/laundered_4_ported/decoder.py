"""A causal language model in Flax."""
import math
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict


@dataclass(frozen=True)
class DecoderSpec:
    n_vocab: int = 50304
    n_ctx: int = 1024
    n_layer: int = 12
    n_head: int = 12
    n_embd: int = 768
    p_dropout: float = 0.0


def normal_init(stddev=0.02):
    return nn.initializers.normal(stddev)


class MultiHead(nn.Module):
    spec: DecoderSpec
    dtype: Any = jnp.float32

    def setup(self):
        spec = self.spec
        if spec.n_embd % spec.n_head:
            raise ValueError(f"n_embd {spec.n_embd} must be a multiple of n_head {spec.n_head}")
        # Two additions to the residual path per layer.
        proj_std = 0.02 / math.sqrt(2 * spec.n_layer)
        self.c_attn = nn.Dense(3 * spec.n_embd, kernel_init=normal_init(), dtype=self.dtype)
        self.c_proj = nn.Dense(spec.n_embd, kernel_init=normal_init(proj_std), dtype=self.dtype)
        self.attn_drop = nn.Dropout(spec.p_dropout)
        self.resid_drop = nn.Dropout(spec.p_dropout)

    def __call__(self, h, train):
        B, T, C = h.shape
        heads = self.spec.n_head
        qkv = self.c_attn(h).reshape(B, T, 3, heads, C // heads)
        q, k, v = jnp.transpose(qkv, (2, 0, 3, 1, 4))
        att = q @ jnp.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
        hidden_from = jnp.triu(jnp.ones((T, T), dtype=bool), 1)
        att = jnp.where(hidden_from, -jnp.inf, att.astype(jnp.float32))
        att = jax.nn.softmax(att, axis=-1).astype(self.dtype)
        y = self.attn_drop(att, deterministic=not train) @ v
        y = jnp.swapaxes(y, 1, 2).reshape(B, T, C)
        return self.resid_drop(self.c_proj(y), deterministic=not train)


class DecoderBlock(nn.Module):
    spec: DecoderSpec
    dtype: Any = jnp.float32

    def setup(self):
        spec = self.spec
        proj_std = 0.02 / math.sqrt(2 * spec.n_layer)
        self.ln_1 = nn.LayerNorm(epsilon=1e-5)
        self.attn = MultiHead(spec, self.dtype)
        self.ln_2 = nn.LayerNorm(epsilon=1e-5)
        self.fc_in = nn.Dense(4 * spec.n_embd, kernel_init=normal_init(), dtype=self.dtype)
        self.fc_out = nn.Dense(spec.n_embd, kernel_init=normal_init(proj_std), dtype=self.dtype)
        self.resid_drop = nn.Dropout(spec.p_dropout)

    def __call__(self, h, train):
        h = h + self.attn(self.ln_1(h), train)
        inner = jax.nn.gelu(self.fc_in(self.ln_2(h)), approximate=True)
        return h + self.resid_drop(self.fc_out(inner), deterministic=not train)


class Decoder(nn.Module):
    spec: DecoderSpec
    dtype: Any = jnp.float32

    def setup(self):
        spec = self.spec
        self.wte = nn.Embed(spec.n_vocab, spec.n_embd, embedding_init=normal_init())
        self.wpe = nn.Embed(spec.n_ctx, spec.n_embd, embedding_init=normal_init())
        self.embd_drop = nn.Dropout(spec.p_dropout)
        self.blocks = [DecoderBlock(spec, self.dtype) for _ in range(spec.n_layer)]
        self.ln_f = nn.LayerNorm(epsilon=1e-5)

    def __call__(self, idx, train=False):
        T = idx.shape[1]
        if T > self.spec.n_ctx:
            raise ValueError(f"input of {T} tokens is longer than n_ctx {self.spec.n_ctx}")
        h = self.wte(idx) + self.wpe.embedding[:T]
        h = self.embd_drop(h, deterministic=not train)
        for block in self.blocks:
            h = block(h, train)
        # Tied weights: the token table is also the output layer.
        h = self.ln_f(h).astype(self.dtype)
        return h @ self.wte.embedding.astype(self.dtype).T


def decay_mask(params):
    """True for kernels and tables, False for biases and norm scales."""
    return unflatten_dict({path: leaf.ndim > 1 for path, leaf in flatten_dict(params).items()})
