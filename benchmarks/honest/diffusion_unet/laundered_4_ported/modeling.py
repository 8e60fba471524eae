"""Flax network, channels last."""

import math
from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class NetSettings:
    image_channels: int = 3
    resolution: int = 32
    num_labels: int = 10
    features: int = 64
    ratios: tuple[int, ...] = (1, 2, 2, 4)
    depth: int = 2
    attn_resolutions: tuple[int, ...] = (16, 8)
    heads: int = 4
    norm_groups: int = 16
    drop_rate: float = 0.1

    @property
    def cond_features(self) -> int:
        return 4 * self.features


def conv(features, size, strides=1, zero=False):
    init = nn.initializers.zeros_init() if zero else nn.initializers.lecun_normal()
    pad = [(size // 2, size // 2)] * 2
    return nn.Conv(features, (size, size), strides=(strides, strides), padding=pad, kernel_init=init)


class StepEncoder(nn.Module):
    width: int
    features: int
    longest: float = 10_000.0

    @nn.compact
    def __call__(self, t):
        half = self.width // 2
        freqs = jnp.exp(-math.log(self.longest) * jnp.arange(half) / half)
        args = t.astype(jnp.float32)[:, None] * freqs[None, :]
        emb = jnp.concatenate([jnp.cos(args), jnp.sin(args)], axis=1)
        emb = nn.silu(nn.Dense(self.features)(emb))
        return nn.Dense(self.features)(emb)


class FlaxResBlock(nn.Module):
    features: int
    settings: NetSettings

    @nn.compact
    def __call__(self, x, cond, train=False):
        s = self.settings
        y = nn.silu(nn.GroupNorm(s.norm_groups, epsilon=1e-5)(x))
        y = conv(self.features, 3)(y)
        film = nn.Dense(2 * self.features)(nn.silu(cond))[:, None, None, :]
        scale, shift = jnp.split(film, 2, axis=-1)
        y = nn.GroupNorm(s.norm_groups, epsilon=1e-5)(y) * (1.0 + scale) + shift
        y = nn.Dropout(s.drop_rate, deterministic=not train)(nn.silu(y))
        y = conv(self.features, 3, zero=True)(y)
        if x.shape[-1] != self.features:
            x = conv(self.features, 1)(x)
        return x + y


class FlaxSpatialAttention(nn.Module):
    settings: NetSettings

    @nn.compact
    def __call__(self, x):
        batch, height, width, channels = x.shape
        heads = self.settings.heads
        qkv = conv(3 * channels, 1)(nn.GroupNorm(self.settings.norm_groups, epsilon=1e-5)(x))
        qkv = qkv.reshape(batch, height * width, 3, heads, channels // heads)
        q, k, v = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
        mixed = nn.dot_product_attention(q, k, v).reshape(batch, height, width, channels)
        return x + conv(channels, 1, zero=True)(mixed)


class Block(nn.Module):
    features: int
    attend: bool
    settings: NetSettings

    @nn.compact
    def __call__(self, x, cond, train=False):
        x = FlaxResBlock(self.features, self.settings)(x, cond, train)
        return FlaxSpatialAttention(self.settings)(x) if self.attend else x


class Enlarge(nn.Module):
    features: int

    @nn.compact
    def __call__(self, x):
        batch, height, width, channels = x.shape
        x = jax.image.resize(x, (batch, 2 * height, 2 * width, channels), method="nearest")
        return conv(self.features, 3)(x)


class FlaxUNet(nn.Module):
    """x [B, H, W, C], t [B], labels [B] -> v [B, H, W, C]; the last label means none."""

    settings: NetSettings

    @nn.compact
    def __call__(self, x, t, labels, train=False):
        s = self.settings
        cond = StepEncoder(s.features, s.cond_features)(t)
        cond = cond + nn.Embed(s.num_labels + 1, s.cond_features)(labels)
        widths = [s.features * ratio for ratio in s.ratios]
        attends = [s.resolution // 2**level in s.attn_resolutions for level in range(len(widths))]

        x = conv(s.features, 3)(x)
        hidden = [x]
        for level, width in enumerate(widths):
            for _ in range(s.depth):
                x = Block(width, attends[level], s)(x, cond, train)
                hidden.append(x)
            if level < len(widths) - 1:
                x = conv(width, 3, strides=2)(x)
                hidden.append(x)

        x = Block(widths[-1], True, s)(x, cond, train)
        x = Block(widths[-1], False, s)(x, cond, train)

        for level, width in reversed(list(enumerate(widths))):
            for _ in range(s.depth + 1):
                x = jnp.concatenate([x, hidden.pop()], axis=-1)
                x = Block(width, attends[level], s)(x, cond, train)
            if level > 0:
                x = Enlarge(width)(x)
        x = nn.silu(nn.GroupNorm(s.norm_groups, epsilon=1e-5)(x))
        return conv(s.image_channels, 3, zero=True)(x)
