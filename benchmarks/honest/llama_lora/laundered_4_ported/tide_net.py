"""Decoder-only transformer in Flax: RMS norms, rotary angles, shared kv heads, gated MLP."""
from dataclasses import dataclass
from typing import Optional, Tuple

import flax.linen as nn
import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class AdapterSpec:
    layers: Tuple[str, ...]
    rank: int = 8
    alpha: float = 16.0
    drop_rate: float = 0.0

    @property
    def scale(self):
        return self.alpha / self.rank


@dataclass(frozen=True)
class TideConfig:
    num_tokens: int = 32000
    features: int = 512
    num_layers: int = 8
    num_heads: int = 8
    num_kv_heads: int = 2
    mlp_features: int = 1408
    max_positions: int = 1024
    rotary_base: float = 10000.0
    epsilon: float = 1e-5
    compute_dtype: str = "float32"
    adapter: Optional[AdapterSpec] = None


class AdaptedDense(nn.Module):
    """Bias-free dense layer; gets a low-rank branch if its name is in cfg.adapter.layers."""
    cfg: TideConfig
    units: int

    @nn.compact
    def __call__(self, x, training=False):
        in_units = x.shape[-1]
        kernel = self.param("kernel", nn.initializers.normal(0.02), (in_units, self.units))
        x = x.astype(self.cfg.compute_dtype)
        y = x @ kernel.astype(self.cfg.compute_dtype)
        spec = self.cfg.adapter
        if spec is None or self.name not in spec.layers:
            return y
        # uniform in +-1/sqrt(in_units), which is Kaiming with a = sqrt(5)
        kaiming = nn.initializers.variance_scaling(1.0 / 3.0, "fan_in", "uniform")
        low_a = self.variable(
            "adapter", "low_a", lambda: kaiming(self.make_rng("params"), (in_units, spec.rank)))
        low_b = self.variable("adapter", "low_b", jnp.zeros, (spec.rank, self.units))
        h = nn.Dropout(spec.drop_rate)(x, deterministic=not training)
        h = h @ low_a.value.astype(self.cfg.compute_dtype)
        return y + h @ low_b.value.astype(self.cfg.compute_dtype) * spec.scale


class RootNorm(nn.Module):
    epsilon: float

    @nn.compact
    def __call__(self, x):
        weight = self.param("weight", nn.initializers.ones, (x.shape[-1],))
        h = x.astype(jnp.float32)
        h = h * jax.lax.rsqrt(jnp.square(h).mean(-1, keepdims=True) + self.epsilon)
        return h.astype(x.dtype) * weight


def rotary_tables(head_features, length, base):
    inverse = base ** (-jnp.arange(0, head_features, 2).astype(jnp.float32) / head_features)
    angles = jnp.tile(jnp.outer(jnp.arange(length).astype(jnp.float32), inverse), (1, 2))
    return jnp.cos(angles), jnp.sin(angles)


def apply_rotary(x, cosines, sines):
    """x is (batch, heads, time, head_features); the tables are (time, head_features)."""
    front, back = jnp.split(x, 2, axis=-1)
    crossed = jnp.concatenate([-back, front], axis=-1)
    return (x.astype(jnp.float32) * cosines + crossed.astype(jnp.float32) * sines).astype(x.dtype)


class TideAttention(nn.Module):
    cfg: TideConfig

    @nn.compact
    def __call__(self, x, cosines, sines, mask, past=None, training=False):
        cfg = self.cfg
        assert cfg.num_heads % cfg.num_kv_heads == 0
        repeats = cfg.num_heads // cfg.num_kv_heads
        head_features = cfg.features // cfg.num_heads
        kv_features = cfg.num_kv_heads * head_features

        def heads_of(name, units):
            y = AdaptedDense(cfg, units, name=name)(x, training)
            return y.reshape(*y.shape[:-1], -1, head_features).swapaxes(1, 2)

        q = heads_of("query", cfg.features)
        k = heads_of("key", kv_features)
        v = heads_of("value", kv_features)
        q, k = apply_rotary(q, cosines, sines), apply_rotary(k, cosines, sines)
        if past is not None:
            past_k, past_v = past
            k, v = jnp.concatenate([past_k, k], axis=2), jnp.concatenate([past_v, v], axis=2)
        present = (k, v)
        k = jnp.repeat(k, repeats, axis=1)
        v = jnp.repeat(v, repeats, axis=1)
        scores = (q @ k.swapaxes(-1, -2)).astype(jnp.float32) / jnp.sqrt(head_features)
        scores = jnp.where(mask, scores, jnp.finfo(jnp.float32).min)
        out = jax.nn.softmax(scores, axis=-1).astype(v.dtype) @ v
        out = out.swapaxes(1, 2)
        out = out.reshape(*out.shape[:2], -1)
        return AdaptedDense(cfg, cfg.features, name="output")(out, training), present


class TideBlock(nn.Module):
    cfg: TideConfig

    @nn.compact
    def __call__(self, x, cosines, sines, mask, past=None, training=False):
        cfg = self.cfg
        h = RootNorm(cfg.epsilon, name="attention_norm")(x)
        h, present = TideAttention(cfg, name="attention")(h, cosines, sines, mask, past, training)
        x = x + h
        h = RootNorm(cfg.epsilon, name="mlp_norm")(x)
        gate = nn.silu(AdaptedDense(cfg, cfg.mlp_features, name="gate")(h, training))
        up = AdaptedDense(cfg, cfg.mlp_features, name="up")(h, training)
        return x + AdaptedDense(cfg, cfg.features, name="down")(gate * up, training), present


class TideNet(nn.Module):
    cfg: TideConfig

    @nn.compact
    def __call__(self, tokens, is_token=None, cache=None, training=False):
        """is_token is False on padding (always on the right); cache is a list with one
        (keys, values) pair per layer, or None. Returns the logits and the new cache."""
        cfg = self.cfg
        cosines, sines = rotary_tables(
            cfg.features // cfg.num_heads, cfg.max_positions, cfg.rotary_base)
        start = cache[0][0].shape[2] if cache else 0
        end = start + tokens.shape[1]
        positions = jnp.arange(end)
        mask = (positions[None, :] <= positions[start:, None])[None, None]
        if is_token is not None:
            mask = mask & is_token[:, None, None, :]
        x = nn.Embed(cfg.num_tokens, cfg.features,
                     embedding_init=nn.initializers.normal(0.02), name="token_embed")(tokens)
        new_cache = []
        for i in range(cfg.num_layers):
            past = cache[i] if cache else None
            x, present = TideBlock(cfg, name=f"block_{i}")(
                x, cosines[start:end], sines[start:end], mask, past, training)
            new_cache.append(present)
        x = RootNorm(cfg.epsilon, name="final_norm")(x)
        return AdaptedDense(cfg, cfg.num_tokens, name="readout")(x, training), new_cache
