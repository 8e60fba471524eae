"""Flax (linen) modules: patch embedding with 2D sin-cos positions and a query resampler."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct


@struct.dataclass
class FlaxResamplerConfig:
    patch: int = 14
    vision_features: int = 768
    text_features: int = 2048
    heads: int = 16
    grid: int = 8
    layers: int = 1
    mlp_factor: float = 2.0

    @property
    def query_count(self) -> int:
        return self.grid**2


def sin_cos_embed(pos: jax.Array, features: int, max_period: float = 10_000.0) -> jax.Array:
    half = features // 2
    exponent = jnp.arange(half, dtype=jnp.float32) / half
    omega = max_period**-exponent
    theta = pos.astype(jnp.float32)[:, None] * omega[None, :]
    return jnp.concatenate([jnp.sin(theta), jnp.cos(theta)], axis=1)


def sin_cos_embed_2d(h: int, w: int, features: int) -> jax.Array:
    """Returns an array of shape (h * w, features), rows in the first half."""
    if features % 4 != 0:
        raise ValueError(f"features={features} is not divisible by 4")
    y = sin_cos_embed(jnp.arange(h), features // 2)
    x = sin_cos_embed(jnp.arange(w), features // 2)
    y = jnp.broadcast_to(y[:, None, :], (h, w, features // 2))
    x = jnp.broadcast_to(x[None, :, :], (h, w, features // 2))
    return jnp.concatenate([y, x], axis=-1).reshape(h * w, features)


def image_to_patches(image: jax.Array, patch: int) -> jax.Array:
    """(H, W, C) -> (H/p * W/p, C*p*p). Channel-first inside a patch, as the checkpoints expect."""
    height, width, ch = image.shape
    h, w = height // patch, width // patch
    x = image.reshape(h, patch, w, patch, ch)
    x = x.transpose(0, 2, 4, 1, 3)
    return x.reshape(h * w, ch * patch * patch)


def pad_rows(arrays: list[jax.Array], length: int) -> jax.Array:
    return jnp.stack([jnp.pad(a, ((0, length - a.shape[0]), (0, 0))) for a in arrays])


class FlaxPatchEmbed(nn.Module):
    config: FlaxResamplerConfig

    def setup(self):
        self.projection = nn.Dense(self.config.vision_features)
        self.layer_norm = nn.LayerNorm(epsilon=1e-5)

    def __call__(self, images: list[jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        patch = self.config.patch
        hidden, pos = [], []
        for image in images:
            h, w = image.shape[0] // patch, image.shape[1] // patch
            hidden.append(self.layer_norm(self.projection(image_to_patches(image, patch))))
            pos.append(sin_cos_embed_2d(h, w, self.config.vision_features))
        sizes = jnp.array([x.shape[0] for x in hidden])
        longest = max(x.shape[0] for x in hidden)
        mask = jnp.arange(longest)[None, :] < sizes[:, None]
        return pad_rows(hidden, longest), pad_rows(pos, longest), mask


class FlaxCrossAttention(nn.Module):
    """Keys see positions, values do not."""

    features: int
    heads: int

    def setup(self):
        self.q_proj = nn.Dense(self.features)
        self.k_proj = nn.Dense(self.features)
        self.v_proj = nn.Dense(self.features)
        self.o_proj = nn.Dense(self.features)

    def _split(self, x: jax.Array) -> jax.Array:
        return x.reshape(*x.shape[:2], self.heads, self.features // self.heads)

    def __call__(self, q_in: jax.Array, k_in: jax.Array, v_in: jax.Array, mask: jax.Array) -> jax.Array:
        q = self._split(self.q_proj(q_in))
        k = self._split(self.k_proj(k_in))
        v = self._split(self.v_proj(v_in))
        out = jax.nn.dot_product_attention(q, k, v, mask=mask[:, None, None, :])
        out = out.reshape(*out.shape[:2], self.features)
        return self.o_proj(out)


class FlaxResamplerLayer(nn.Module):
    config: FlaxResamplerConfig

    def setup(self):
        features = self.config.text_features
        self.attn_norm = nn.LayerNorm(epsilon=1e-5)
        self.cross_attn = FlaxCrossAttention(features, self.config.heads)
        self.ffn_norm = nn.LayerNorm(epsilon=1e-5)
        self.fc_in = nn.Dense(int(features * self.config.mlp_factor))
        self.fc_out = nn.Dense(features)

    def __call__(self, hidden, query_embed, context, context_embed, mask):
        hidden = hidden + self.cross_attn(
            self.attn_norm(hidden) + query_embed, context + context_embed, context, mask
        )
        ffn = self.fc_out(nn.gelu(self.fc_in(self.ffn_norm(hidden)), approximate=False))
        return hidden + ffn


class FlaxResampler(nn.Module):
    config: FlaxResamplerConfig

    def setup(self):
        cfg = self.config
        features = cfg.text_features
        self.in_proj = nn.Dense(features, use_bias=False)
        self.in_norm = nn.LayerNorm(epsilon=1e-5)
        self.pos_proj = nn.Dense(features, use_bias=False)
        self.query = self.param("query", nn.initializers.normal(stddev=0.02), (cfg.query_count, features))
        self.layers = [FlaxResamplerLayer(cfg) for _ in range(cfg.layers)]
        self.out_norm = nn.LayerNorm(epsilon=1e-5)
        self.out_proj = nn.Dense(features)

    def __call__(self, tokens: jax.Array, pos: jax.Array, mask: jax.Array) -> jax.Array:
        cfg = self.config
        context = self.in_norm(self.in_proj(tokens))
        context_embed = self.pos_proj(pos)
        query_embed = sin_cos_embed_2d(cfg.grid, cfg.grid, cfg.text_features)
        hidden = jnp.broadcast_to(self.query[None], (context.shape[0], *self.query.shape))
        for layer in self.layers:
            hidden = layer(hidden, query_embed, context, context_embed, mask)
        return self.out_proj(self.out_norm(hidden))


class FlaxVisionTower(nn.Module):
    config: FlaxResamplerConfig = FlaxResamplerConfig()

    def setup(self):
        self.patch_embed = FlaxPatchEmbed(self.config)
        self.resampler = FlaxResampler(self.config)

    def __call__(self, images: list[jax.Array]) -> jax.Array:
        """A list of (H, W, 3) -> (len(images), grid**2, text_features)."""
        return self.resampler(*self.patch_embed(images))
