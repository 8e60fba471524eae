"""MaskLens in Flax: transformer viewer, gap guesser and the labeller built on the viewer."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

Array = jax.Array


@dataclass(frozen=True)
class LensConfig:
    img_res: int = 96
    patch_res: int = 8
    in_chans: int = 3
    embed: int = 384
    n_layers: int = 12
    n_heads: int = 6
    guess_embed: int = 192
    guess_layers: int = 4
    guess_heads: int = 6
    ff_ratio: float = 4.0
    cover_ratio: float = 0.75
    scale_targets: bool = True

    @property
    def patches_per_side(self) -> int:
        return self.img_res // self.patch_res

    @property
    def n_patches(self) -> int:
        return self.patches_per_side ** 2

    @property
    def patch_values(self) -> int:
        return self.patch_res ** 2 * self.in_chans


def fixed_embedding(embed: int, side: int, with_cls: bool = True) -> np.ndarray:
    """Sine and cosine table (1, side * side [+ 1], embed), y in the front half and x in the back half."""
    if embed % 4:
        raise ValueError(f"embed has to be a multiple of 4 but is {embed}")
    inv_freq = 1.0 / 10000 ** (np.arange(embed // 4, dtype=np.float64) / (embed // 4))
    pos = np.arange(side, dtype=np.float64)
    theta = pos[:, None] * inv_freq[None]
    one_axis = np.concatenate([np.sin(theta), np.cos(theta)], axis=1)  # side, embed / 2
    y = np.broadcast_to(one_axis[:, None], (side, side, embed // 2))
    x = np.broadcast_to(one_axis[None], (side, side, embed // 2))
    out = np.concatenate([y, x], axis=-1).reshape(side * side, embed)
    if with_cls:
        out = np.concatenate([np.zeros((1, embed), dtype=out.dtype), out])
    return out.astype(np.float32)[None]


def to_patches(imgs: Array, res: int) -> Array:
    n, h, w, c = imgs.shape
    z = imgs.reshape(n, h // res, res, w // res, res, c)
    return z.transpose(0, 1, 3, 2, 4, 5).reshape(n, (h // res) * (w // res), res * res * c)


def from_patches(patches: Array, res: int, chans: int = 3) -> Array:
    n, count, _ = patches.shape
    side = int(count ** 0.5)
    z = patches.reshape(n, side, side, res, res, chans)
    return z.transpose(0, 1, 3, 2, 4, 5).reshape(n, side * res, side * res, chans)


def cover_randomly(key: Array, z: Array, ratio: float) -> tuple[Array, Array, Array]:
    """Sample the patches the viewer may see, separately for each image.

    Returns them with the cover map (1 = covered, original order) and the indices
    that sort shuffled patches back.
    """
    n, count, _ = z.shape
    n_seen = max(1, int(count * (1 - ratio)))
    perm = jnp.argsort(jax.random.uniform(key, (n, count)), axis=1)
    inv_perm = jnp.argsort(perm, axis=1)
    seen = jnp.take_along_axis(z, perm[:, :n_seen, None], axis=1)
    cover = (inv_perm >= n_seen).astype(jnp.float32)
    return seen, cover, inv_perm


def dense(features: int, dtype: Any, name: str | None = None) -> nn.Dense:
    return nn.Dense(features, dtype=dtype, kernel_init=nn.initializers.xavier_uniform(),
                    bias_init=nn.initializers.zeros, name=name)


class Block(nn.Module):
    """Pre-norm self-attention and feed-forward layer, one fused projection for query, key and value."""
    n_heads: int
    ff_width: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Array) -> Array:
        n, count, embed = z.shape
        y = nn.LayerNorm(epsilon=1e-6, name="norm1")(z)
        qkv = dense(3 * embed, self.dtype, name="in_proj")(y)
        q, k, v = (t.reshape(n, count, self.n_heads, embed // self.n_heads) for t in jnp.split(qkv, 3, axis=-1))
        y = nn.dot_product_attention(q, k, v).reshape(n, count, embed)
        z = z + dense(embed, self.dtype, name="out_proj")(y)
        y = nn.LayerNorm(epsilon=1e-6, name="norm2")(z)
        y = nn.gelu(dense(self.ff_width, self.dtype, name="linear1")(y), approximate=False)
        return z + dense(embed, self.dtype, name="linear2")(y)


class BlockStack(nn.Module):
    """Blocks one after the other, then a layer norm."""
    embed: int
    n_heads: int
    n_layers: int
    ff_ratio: float
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Array) -> Array:
        for i in range(self.n_layers):
            z = Block(self.n_heads, int(self.embed * self.ff_ratio), self.dtype, name=f"layer_{i}")(z)
        return nn.LayerNorm(epsilon=1e-6, name=f"layer_{self.n_layers}")(z)


class Viewer(nn.Module):
    conf: LensConfig
    dtype: Any = jnp.float32

    def setup(self) -> None:
        conf = self.conf
        self.patch_proj = dense(conf.embed, self.dtype)
        self.cls_tok = self.param("cls_tok", nn.initializers.normal(0.02), (1, 1, conf.embed))
        self.pos_table = fixed_embedding(conf.embed, conf.patches_per_side)
        self.stack = BlockStack(conf.embed, conf.n_heads, conf.n_layers, conf.ff_ratio, self.dtype)

    def __call__(self, imgs: Array, cover_ratio: float = 0.0):
        z = self.patch_proj(to_patches(imgs, self.conf.patch_res)) + self.pos_table[:, 1:]
        cover = inv_perm = None
        if cover_ratio > 0:
            z, cover, inv_perm = cover_randomly(self.make_rng("cover"), z, cover_ratio)
        cls = jnp.broadcast_to(self.cls_tok + self.pos_table[:, :1], (z.shape[0], 1, z.shape[2]))
        z = jnp.concatenate([cls, z], axis=1)
        return self.stack(z), cover, inv_perm


class Guesser(nn.Module):
    conf: LensConfig
    dtype: Any = jnp.float32

    def setup(self) -> None:
        conf = self.conf
        self.proj = dense(conf.guess_embed, self.dtype)
        self.cover_tok = self.param("cover_tok", nn.initializers.normal(0.02), (1, 1, conf.guess_embed))
        self.pos_table = fixed_embedding(conf.guess_embed, conf.patches_per_side)
        self.stack = BlockStack(conf.guess_embed, conf.guess_heads, conf.guess_layers, conf.ff_ratio, self.dtype)
        self.pixels = dense(conf.patch_values, self.dtype)

    def __call__(self, feats: Array, inv_perm: Array) -> Array:
        z = self.proj(feats)
        n, n_seen, embed = z.shape
        covered = jnp.broadcast_to(self.cover_tok.astype(z.dtype), (n, inv_perm.shape[1] + 1 - n_seen, embed))
        patches = jnp.concatenate([z[:, 1:], covered], axis=1)
        patches = jnp.take_along_axis(patches, inv_perm[..., None], axis=1)
        z = jnp.concatenate([z[:, :1], patches], axis=1) + self.pos_table
        return self.pixels(self.stack(z))[:, 1:]


class MaskLens(nn.Module):
    conf: LensConfig
    dtype: Any = jnp.float32

    def setup(self) -> None:
        self.viewer = Viewer(self.conf, self.dtype)
        self.guesser = Guesser(self.conf, self.dtype)

    def __call__(self, imgs: Array) -> tuple[Array, Array, Array]:
        feats, cover, inv_perm = self.viewer(imgs, self.conf.cover_ratio)
        guess = self.guesser(feats, inv_perm)
        return self.objective(imgs, guess, cover), guess, cover

    def objective(self, imgs: Array, guess: Array, cover: Array) -> Array:
        goal = to_patches(imgs, self.conf.patch_res)
        if self.conf.scale_targets:
            mu = goal.mean(axis=-1, keepdims=True)
            var = goal.var(axis=-1, keepdims=True, ddof=1)
            goal = (goal - mu) / jnp.sqrt(var + 1e-6)
        sq_err = jnp.square(guess.astype(jnp.float32) - goal).mean(axis=-1)
        return (sq_err * cover).sum() / cover.sum()


class Labeller(nn.Module):
    """Viewer, average over the patch tokens, linear layer; as a probe with a batch norm before it."""
    conf: LensConfig
    n_classes: int
    probing: bool = False
    dtype: Any = jnp.float32

    def setup(self) -> None:
        self.viewer = Viewer(self.conf, self.dtype)
        if self.probing:
            self.norm = nn.BatchNorm(momentum=0.9, epsilon=1e-5, use_bias=False, use_scale=False)
        self.logits = nn.Dense(self.n_classes, dtype=self.dtype, bias_init=nn.initializers.zeros,
                               kernel_init=nn.initializers.truncated_normal(0.01))

    def __call__(self, imgs: Array, training: bool = False) -> Array:
        tokens, _, _ = self.viewer(imgs)
        feats = tokens[:, 1:].mean(axis=1)
        if self.probing:
            feats = self.norm(jax.lax.stop_gradient(feats), use_running_average=not training)
        return self.logits(feats).astype(jnp.float32)
