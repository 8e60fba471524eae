"""Llama-style decoder in Flax NNX."""
import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx


@dataclasses.dataclass(frozen=True)
class DecoderConfig:
    vocab_size: int = 32000
    hidden: int = 2048
    ffn: int = 5632
    layers: int = 22
    heads: int = 32
    kv_heads: int = 4
    max_len: int = 2048
    rope_theta: float = 10000.0
    eps: float = 1e-5

    @property
    def head_dim(self):
        return self.hidden // self.heads


class RMSNorm(nnx.Module):
    def __init__(self, dim, eps):
        self.scale = nnx.Param(jnp.ones((dim,)))
        self.eps = eps

    def __call__(self, x):
        wide = x.astype(jnp.float32)
        wide = wide * jax.lax.rsqrt(jnp.mean(wide ** 2, -1, keepdims=True) + self.eps)
        return (wide * self.scale.value).astype(x.dtype)


def rotate(x, positions, theta):
    """Rotary embedding of x [B, T, H, D] at integer positions [B, T] (half-split layout)."""
    half = x.shape[-1] // 2
    freqs = theta ** (-jnp.arange(half) / half)
    angle = positions[:, :, None, None] * freqs
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    lo, hi = x[..., :half].astype(jnp.float32), x[..., half:].astype(jnp.float32)
    return jnp.concatenate([lo * cos - hi * sin, hi * cos + lo * sin], -1).astype(x.dtype)


def empty_cache(cfg: DecoderConfig, batch, length, dtype=jnp.bfloat16):
    shape = (batch, length, cfg.kv_heads, cfg.head_dim)
    return [(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype)) for _ in range(cfg.layers)]


class Attention(nnx.Module):
    def __init__(self, cfg: DecoderConfig, dtype, rngs):
        def proj(n_in, n_out):
            return nnx.Linear(n_in, n_out, use_bias=False, dtype=dtype, rngs=rngs)

        self.cfg = cfg
        self.q_proj = proj(cfg.hidden, cfg.heads * cfg.head_dim)
        self.k_proj = proj(cfg.hidden, cfg.kv_heads * cfg.head_dim)
        self.v_proj = proj(cfg.hidden, cfg.kv_heads * cfg.head_dim)
        self.o_proj = proj(cfg.heads * cfg.head_dim, cfg.hidden)

    def __call__(self, x, positions, mask, cache=None, offset=0):
        cfg, (b, t, _) = self.cfg, x.shape
        q = self.q_proj(x).reshape(b, t, cfg.heads, cfg.head_dim)
        k = self.k_proj(x).reshape(b, t, cfg.kv_heads, cfg.head_dim)
        v = self.v_proj(x).reshape(b, t, cfg.kv_heads, cfg.head_dim)
        q = rotate(q, positions, cfg.rope_theta)
        k = rotate(k, positions, cfg.rope_theta)
        if cache is not None:
            k = jax.lax.dynamic_update_slice_in_dim(cache[0], k.astype(cache[0].dtype), offset, 1)
            v = jax.lax.dynamic_update_slice_in_dim(cache[1], v.astype(cache[1].dtype), offset, 1)
            cache = (k, v)
        # Queries are grouped by the key/value head they share; nothing is repeated.
        q = q.reshape(b, t, cfg.kv_heads, cfg.heads // cfg.kv_heads, cfg.head_dim)
        scores = jnp.einsum("btkgd,bskd->bkgts", q, k).astype(jnp.float32)
        scores = jnp.where(mask[:, None, None], scores * cfg.head_dim ** -0.5, -1e30)
        probs = jax.nn.softmax(scores, axis=-1).astype(x.dtype)
        out = jnp.einsum("bkgts,bskd->btkgd", probs, v.astype(x.dtype))
        return self.o_proj(out.reshape(b, t, -1)), cache


class SwiGLU(nnx.Module):
    def __init__(self, cfg: DecoderConfig, dtype, rngs):
        kwargs = dict(use_bias=False, dtype=dtype, rngs=rngs)
        self.gate_proj = nnx.Linear(cfg.hidden, cfg.ffn, **kwargs)
        self.up_proj = nnx.Linear(cfg.hidden, cfg.ffn, **kwargs)
        self.down_proj = nnx.Linear(cfg.ffn, cfg.hidden, **kwargs)

    def __call__(self, x):
        return self.down_proj(nnx.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nnx.Module):
    def __init__(self, cfg: DecoderConfig, dtype, rngs):
        self.attn_norm = RMSNorm(cfg.hidden, cfg.eps)
        self.attn = Attention(cfg, dtype, rngs)
        self.mlp_norm = RMSNorm(cfg.hidden, cfg.eps)
        self.mlp = SwiGLU(cfg, dtype, rngs)

    def __call__(self, x, positions, mask, cache, offset):
        mixed, cache = self.attn(self.attn_norm(x), positions, mask, cache, offset)
        x = x + mixed
        return x + self.mlp(self.mlp_norm(x)), cache


class Decoder(nnx.Module):
    def __init__(self, cfg: DecoderConfig, rngs, dtype=jnp.bfloat16):
        self.cfg = cfg
        self.embed = nnx.Embed(cfg.vocab_size, cfg.hidden, dtype=dtype, rngs=rngs)
        self.n_layers = cfg.layers
        for i in range(cfg.layers):
            setattr(self, f"block_{i}", Block(cfg, dtype, rngs))
        self.norm = RMSNorm(cfg.hidden, cfg.eps)
        self.lm_head = nnx.Linear(cfg.hidden, cfg.vocab_size, use_bias=False,
                                  dtype=dtype, rngs=rngs)

    def __call__(self, tokens, attention_mask=None, cache=None, offset=0):
        """Logits [B, T, V] in float32 and the updated cache (None when none was given)."""
        b, t = tokens.shape
        positions = jnp.broadcast_to(offset + jnp.arange(t), (b, t))
        span = t if cache is None else cache[0][0].shape[1]
        mask = jnp.arange(span)[None, None] <= positions[:, :, None]
        if attention_mask is not None:
            mask = mask & attention_mask[:, None, :].astype(bool)
        x, updated = self.embed(tokens), []
        for i in range(self.n_layers):
            layer_cache = None if cache is None else cache[i]
            x, layer_cache = getattr(self, f"block_{i}")(x, positions, mask, layer_cache, offset)
            updated.append(layer_cache)
        logits = self.lm_head(self.norm(x)).astype(jnp.float32)
        return logits, (None if cache is None else updated)
