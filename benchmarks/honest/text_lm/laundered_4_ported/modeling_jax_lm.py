"""JAX decoder-only transformer: parameters are a flat dict of arrays, the model is a set of pure functions."""

from dataclasses import dataclass

import flax
import jax
import jax.numpy as jnp
import optax


@dataclass(frozen=True)
class GeneratorConfig:
    vocab_size: int
    hidden_size: int = 512
    num_layers: int = 8
    num_heads: int = 8
    num_kv_heads: int = 2
    mlp_size: int = 1408
    max_length: int = 1024
    rope_theta: float = 10000.0
    norm_eps: float = 1e-6

    def __post_init__(self):
        if self.hidden_size % self.num_heads or self.num_heads % self.num_kv_heads:
            raise ValueError("hidden_size / num_heads and num_heads / num_kv_heads must be integers")
        if self.head_dim % 2:
            raise ValueError("head_dim must be even for RoPE")

    @property
    def head_dim(self):
        return self.hidden_size // self.num_heads


@flax.struct.dataclass
class KVCache:
    """Keys and values (layers, 2, batch, positions, kv heads, head dim) and the number of filled positions."""

    states: jax.Array
    index: jax.Array


def init_params(rng, config):
    d, h, f = config.hidden_size, config.head_dim, config.mlp_size
    k, r = config.num_kv_heads, config.num_heads // config.num_kv_heads
    residual_scale = (2 * config.num_layers) ** -0.5
    rng, key = jax.random.split(rng)
    params = {
        "wte": 0.02 * jax.random.normal(key, (config.vocab_size, d)),
        "ln_f": jnp.ones(d),
    }
    for layer in range(config.num_layers):
        specs = {
            "wq": ((d, k, r, h), d**-0.5),
            "wk": ((d, k, h), d**-0.5),
            "wv": ((d, k, h), d**-0.5),
            "wo": ((k, r, h, d), d**-0.5 * residual_scale),
            "w1": ((d, f), d**-0.5),
            "w3": ((d, f), d**-0.5),
            "w2": ((f, d), f**-0.5 * residual_scale),
        }
        for name, (shape, stddev) in specs.items():
            rng, key = jax.random.split(rng)
            params[f"h_{layer}/{name}"] = stddev * jax.random.normal(key, shape)
        params[f"h_{layer}/ln_1"] = jnp.ones(d)
        params[f"h_{layer}/ln_2"] = jnp.ones(d)
    return params


def rms_norm(hidden_states, weight, eps):
    x = hidden_states.astype(jnp.float32)
    x = x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + eps)
    return x.astype(hidden_states.dtype) * weight


def rope_freqs(config, start, length):
    """Complex rotations exp(i * position * frequency), shape (length, head_dim / 2)."""
    inv_freq = config.rope_theta ** -(jnp.arange(0, config.head_dim, 2) / config.head_dim)
    positions = start + jnp.arange(length)
    freqs = jnp.outer(positions.astype(jnp.float32), inv_freq)
    return jax.lax.complex(jnp.cos(freqs), jnp.sin(freqs))


def apply_rope(x, freqs_cis):
    freqs_cis = freqs_cis.reshape(freqs_cis.shape[0], *[1] * (x.ndim - 3), freqs_cis.shape[1])
    paired = x.astype(jnp.float32).reshape(*x.shape[:-1], -1, 2)
    rotated = jax.lax.complex(paired[..., 0], paired[..., 1]) * freqs_cis
    return jnp.stack([rotated.real, rotated.imag], axis=-1).reshape(x.shape).astype(x.dtype)


def init_cache(config, batch_size, dtype=jnp.float32):
    shape = (config.num_layers, 2, batch_size, config.max_length, config.num_kv_heads, config.head_dim)
    return KVCache(states=jnp.zeros(shape, dtype), index=jnp.zeros((), jnp.int32))


def update_cache(cache, layer, key, value):
    """Write the new keys and values behind the filled positions; XLA needs static shapes, so all positions return."""
    update = jnp.stack([key, value])[None].astype(cache.states.dtype)
    cache = cache.replace(
        states=jax.lax.dynamic_update_slice(cache.states, update, (layer, 0, 0, cache.index, 0, 0))
    )
    return cache, cache.states[layer, 0], cache.states[layer, 1]


def attention(params, config, layer, hidden_states, freqs_cis, causal_mask, cache):
    prefix = f"h_{layer}"
    query = apply_rope(jnp.einsum("btd,dkrh->btkrh", hidden_states, params[f"{prefix}/wq"]), freqs_cis)
    key = apply_rope(jnp.einsum("btd,dkh->btkh", hidden_states, params[f"{prefix}/wk"]), freqs_cis)
    value = jnp.einsum("btd,dkh->btkh", hidden_states, params[f"{prefix}/wv"])
    if cache is not None:
        cache, key, value = update_cache(cache, layer, key, value)
    attn_weights = jnp.einsum("btkrh,bskh->bkrts", query, key) * config.head_dim**-0.5
    attn_weights = jnp.where(causal_mask, attn_weights.astype(jnp.float32), -jnp.inf)
    attn_weights = jax.nn.softmax(attn_weights, axis=-1).astype(hidden_states.dtype)
    attn_output = jnp.einsum("bkrts,bskh,krhd->btd", attn_weights, value, params[f"{prefix}/wo"])
    return attn_output, cache


def mlp(params, layer, hidden_states):
    prefix = f"h_{layer}"
    gate = jax.nn.silu(hidden_states @ params[f"{prefix}/w1"])
    return (gate * (hidden_states @ params[f"{prefix}/w3"])) @ params[f"{prefix}/w2"]


def apply_model(params, config, input_ids, cache=None):
    """Logits (batch, length, vocab) and the cache, advanced by the length if there is one."""
    length = input_ids.shape[1]
    if length > config.max_length:
        raise ValueError(f"sequence of {length} tokens is longer than max_length={config.max_length}")
    start = cache.index if cache is not None else 0
    total = config.max_length if cache is not None else length
    freqs_cis = rope_freqs(config, start, length)
    query_pos, key_pos = start + jnp.arange(length), jnp.arange(total)
    causal_mask = query_pos[:, None] >= key_pos

    hidden_states = params["wte"][input_ids] * config.hidden_size**0.5
    for layer in range(config.num_layers):
        normed = rms_norm(hidden_states, params[f"h_{layer}/ln_1"], config.norm_eps)
        attn_output, cache = attention(params, config, layer, normed, freqs_cis, causal_mask, cache)
        hidden_states = hidden_states + attn_output
        normed = rms_norm(hidden_states, params[f"h_{layer}/ln_2"], config.norm_eps)
        hidden_states = hidden_states + mlp(params, layer, normed)
    if cache is not None:
        cache = cache.replace(index=cache.index + length)
    hidden_states = rms_norm(hidden_states, params["ln_f"], config.norm_eps)
    return jnp.einsum("btd,vd->btv", hidden_states, params["wte"]), cache


def token_losses(params, config, input_ids, labels):
    """Cross entropy of every token in nats; labels of -1 are ignored."""
    logits, _ = apply_model(params, config, input_ids)
    valid = labels != -1
    losses = optax.softmax_cross_entropy_with_integer_labels(
        logits.astype(jnp.float32), jnp.where(valid, labels, 0)
    )
    return jnp.where(valid, losses, 0.0)
