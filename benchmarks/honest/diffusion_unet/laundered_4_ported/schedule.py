"""Noise schedule, loss and sampler in JAX."""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class NoiseSettings(NamedTuple):
    steps: int = 1000
    s: float = 0.008
    beta_limit: float = 0.999
    label_drop: float = 0.1


class SamplerSettings(NamedTuple):
    steps: int = 50
    guidance_scale: float = 2.0
    eta: float = 0.0
    clip: bool = True


def cosine_tables(noise: NoiseSettings):
    steps = np.arange(noise.steps + 1, dtype=np.float64) / noise.steps
    signal = np.square(np.cos((steps + noise.s) / (1 + noise.s) * math.pi / 2))
    betas = np.minimum(1.0 - signal[1:] / signal[:-1], noise.beta_limit)
    kept = np.cumprod(1.0 - betas)
    return jnp.asarray(np.sqrt(kept), jnp.float32), jnp.asarray(np.sqrt(1.0 - kept), jnp.float32)


def alpha_sigma(tables, t):
    """Both [B, 1, 1, 1]; t = -1 is the clean image."""
    index = jnp.maximum(t, 0)
    alpha = jnp.where(t < 0, 1.0, tables[0][index])
    sigma = jnp.where(t < 0, 0.0, tables[1][index])
    return alpha.reshape(-1, 1, 1, 1), sigma.reshape(-1, 1, 1, 1)


def v_loss(params, key, model, tables, x0, labels, noise: NoiseSettings):
    t_key, noise_key, label_key, dropout_key = jax.random.split(key, 4)
    t = jax.random.randint(t_key, (x0.shape[0],), 0, noise.steps)
    eps = jax.random.normal(noise_key, x0.shape)
    alpha, sigma = alpha_sigma(tables, t)
    x_t = alpha * x0 + sigma * eps
    target = alpha * eps - sigma * x0
    drop = jax.random.uniform(label_key, labels.shape) < noise.label_drop
    labels = jnp.where(drop, model.settings.num_labels, labels)
    v = model.apply(params, x_t, t, labels, train=True, rngs={"dropout": dropout_key})
    return jnp.mean(jnp.square(v - target))


def guided_v(params, model, x_t, t, labels, scale):
    if scale == 1.0:
        return model.apply(params, x_t, t, labels)
    null = jnp.full_like(labels, model.settings.num_labels)
    both = model.apply(
        params, jnp.tile(x_t, (2, 1, 1, 1)), jnp.tile(t, 2), jnp.concatenate([labels, null])
    )
    cond, uncond = jnp.split(both, 2, axis=0)
    return uncond + scale * (cond - uncond)


def ddim_step(tables, x_t, v, t, prev, fresh_noise, sampler: SamplerSettings):
    alpha, sigma = alpha_sigma(tables, t)
    alpha_prev, sigma_prev = alpha_sigma(tables, prev)
    x0 = alpha * x_t - sigma * v
    if sampler.clip:
        x0 = jnp.clip(x0, -1.0, 1.0)
    eps = (x_t - alpha * x0) / sigma
    ratio = alpha / alpha_prev
    fresh = sampler.eta * sigma_prev / sigma * jnp.sqrt(jnp.maximum(1.0 - jnp.square(ratio), 0.0))
    kept = jnp.sqrt(jnp.maximum(jnp.square(sigma_prev) - jnp.square(fresh), 0.0))
    return alpha_prev * x0 + kept * eps + fresh * fresh_noise


@partial(jax.jit, static_argnames=("model", "noise", "sampler"))
def sample(params, key, labels, *, model, noise: NoiseSettings, sampler: SamplerSettings):
    """Labels [B] -> images [B, H, W, C] in [-1, 1]."""
    s = model.settings
    tables = cosine_tables(noise)
    batch = labels.shape[0]
    times = jnp.round(jnp.linspace(noise.steps - 1, -1, sampler.steps + 1)).astype(jnp.int32)
    key, start_key = jax.random.split(key)
    x = jax.random.normal(start_key, (batch, s.resolution, s.resolution, s.image_channels))

    def body(x, inputs):
        now, before, step_key = inputs
        t, prev = jnp.full((batch,), now), jnp.full((batch,), before)
        v = guided_v(params, model, x, t, labels, sampler.guidance_scale)
        fresh_noise = jax.random.normal(step_key, x.shape)
        return ddim_step(tables, x, v, t, prev, fresh_noise, sampler), None

    keys = jax.random.split(key, sampler.steps)
    x, _ = jax.lax.scan(body, x, (times[:-1], times[1:], keys))
    return jnp.clip(x, -1.0, 1.0)
