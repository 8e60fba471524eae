"""Flax modules: screen coder and decoder, stochastic recurrent core, controller."""
import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.scipy.stats import norm


class Latent(NamedTuple):
    """`mu` and `sigma` belong to the normal distribution from which `noisy` was taken."""
    carry: jax.Array
    noisy: jax.Array
    mu: jax.Array
    sigma: jax.Array


def as_vector(latent):
    return jnp.concatenate([latent.carry, latent.noisy], axis=-1)


class DenseTower(nn.Module):
    """Hidden layers with ELU, then a linear one."""
    out_size: int
    hidden_size: int = 256
    n_hidden: int = 2

    @nn.compact
    def __call__(self, x):
        for _ in range(self.n_hidden):
            x = nn.elu(nn.Dense(self.hidden_size)(x))
        return nn.Dense(self.out_size)(x)


class ScreenCoder(nn.Module):
    channels: int = 32

    @nn.compact
    def __call__(self, screen):
        x = screen.reshape((-1,) + screen.shape[-3:])
        for factor in (1, 2, 4, 8):
            x = nn.elu(nn.Conv(factor * self.channels, (4, 4), strides=(2, 2), padding="VALID")(x))
        return x.reshape(screen.shape[:-3] + (-1,))


class ScreenPrinter(nn.Module):
    channels: int = 32

    @nn.compact
    def __call__(self, vector):
        x = nn.Dense(32 * self.channels)(vector).reshape((-1, 1, 1, 32 * self.channels))
        for factor, kernel in ((4, 5), (2, 5), (1, 6)):
            x = nn.ConvTranspose(factor * self.channels, (kernel, kernel), strides=(2, 2),
                                 padding="VALID")(x)
            x = nn.elu(x)
        x = nn.ConvTranspose(3, (6, 6), strides=(2, 2), padding="VALID")(x)
        return x.reshape(vector.shape[:-1] + (64, 64, 3))


class RecurrentCore(nn.Module):
    carry_size: int = 200
    noisy_size: int = 30
    hidden_size: int = 200
    sigma_floor: float = 0.1

    def setup(self):
        self.fuse = nn.Dense(self.hidden_size)
        self.cell = nn.GRUCell(features=self.carry_size)
        self.blind_head = DenseTower(2 * self.noisy_size, self.hidden_size, n_hidden=1)
        self.informed_head = DenseTower(2 * self.noisy_size, self.hidden_size, n_hidden=1)

    def _take(self, carry, stats, key):
        mu, raw = jnp.split(stats, 2, axis=-1)
        sigma = nn.softplus(raw) + self.sigma_floor
        return Latent(carry, mu + sigma * jax.random.normal(key, sigma.shape), mu, sigma)

    def predict(self, latent, control, key):
        """Advance without a screen."""
        x = nn.elu(self.fuse(jnp.concatenate([latent.noisy, control], axis=-1)))
        carry, _ = self.cell(latent.carry, x)
        return self._take(carry, self.blind_head(carry), key)

    def correct(self, latent, control, code, fresh, key):
        """Advance with a screen's code: (informed, blind). Memory is dropped where `fresh`."""
        blind_key, informed_key = jax.random.split(key)
        hold = 1.0 - fresh[:, None]
        latent = jax.tree_util.tree_map(lambda x: x * hold, latent)
        blind = self.predict(latent, control * hold, blind_key)
        stats = self.informed_head(jnp.concatenate([blind.carry, code], axis=-1))
        return self._take(blind.carry, stats, informed_key), blind


def empty_latent(rows, carry_size=200, noisy_size=30):
    noisy = jnp.zeros((rows, noisy_size))
    return Latent(jnp.zeros((rows, carry_size)), noisy, noisy, noisy)


def normal_kl(p, q):
    var_ratio = jnp.square(p.sigma / q.sigma)
    mean_term = jnp.square((p.mu - q.mu) / q.sigma)
    return 0.5 * jnp.sum(var_ratio + mean_term - 1.0 - jnp.log(var_ratio), axis=-1)


def two_way_kl(informed, blind, ratio=0.8, free=1.0):
    """The blind guess is drawn to the informed one more strongly than the reverse."""
    stop = jax.lax.stop_gradient
    move_blind = normal_kl(stop(informed), blind).mean()
    move_informed = normal_kl(informed, stop(blind)).mean()
    cost = ratio * jnp.maximum(move_blind, free) + (1 - ratio) * jnp.maximum(move_informed, free)
    return cost, stop(move_blind)


class Pilot(nn.Module):
    """Normal distribution put through tanh."""
    control_size: int

    @nn.compact
    def __call__(self, vector, key, mode_only=False):
        """Control and log-density."""
        mu, raw = jnp.split(DenseTower(2 * self.control_size, n_hidden=3)(vector), 2, axis=-1)
        mu = 5 * jnp.tanh(mu / 5)  # tanh hardly has a slope further out
        sigma = nn.softplus(raw + 1.0) + 1e-2
        pre = mu if mode_only else mu + sigma * jax.random.normal(key, mu.shape)
        log_density = norm.logpdf(pre, mu, sigma)
        log_jacobian = 2 * (math.log(2) - pre - nn.softplus(-2 * pre))
        return jnp.tanh(pre), jnp.sum(log_density - log_jacobian, axis=-1)
