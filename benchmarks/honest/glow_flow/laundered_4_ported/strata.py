"""Layers with an exact reverse. Calling one returns the output and a volume for each sample;
back() returns the input."""
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.scipy.linalg import lu, solve_triangular


def pack(u):
    n, h, w, c = u.shape
    u = u.reshape(n, h // 2, 2, w // 2, 2, c)
    return u.transpose(0, 1, 3, 5, 2, 4).reshape(n, h // 2, w // 2, c * 4)


def unpack(u):
    n, h, w, c = u.shape
    u = u.reshape(n, h, w, c // 4, 2, 2)
    return u.transpose(0, 1, 4, 2, 5, 3).reshape(n, h * 2, w * 2, c // 4)


class Standardise(nn.Module):
    """Affine map of every channel; init() on a real batch makes its output standardised."""

    @nn.compact
    def __call__(self, u, back=False):
        axes = (0, 1, 2)
        bias = self.param("bias", lambda _: -jnp.mean(u, axis=axes, keepdims=True))
        log_mult = self.param(
            "log_mult", lambda _: -jnp.log(jnp.std(u, axis=axes, keepdims=True, ddof=1) + 1e-6))
        if back:
            return u * jnp.exp(-log_mult) - bias
        volume = log_mult.sum() * u.shape[1] * u.shape[2]
        return (u + bias) * jnp.exp(log_mult), jnp.broadcast_to(volume, u.shape[:1])

    def back(self, v):
        return self(v, back=True)


def random_orthogonal(key, channels):
    return jnp.linalg.qr(jax.random.normal(key, (channels, channels)))[0]


class Pointwise(nn.Module):
    """Channel mixing by a square matrix that starts orthogonal, stored plain or in LU form."""

    channels: int
    use_lu: bool = True

    def setup(self):
        key = self.make_rng("params") if self.is_initializing() else jax.random.PRNGKey(0)
        orthogonal = functools.partial(random_orthogonal, key, self.channels)
        if not self.use_lu:
            self.kernel = self.param("kernel", lambda _: orthogonal())
            return

        def pivot():
            return jnp.diagonal(lu(orthogonal())[2])

        self.rows = self.variable("fixed", "rows", lambda: lu(orthogonal())[0])
        self.signs = self.variable("fixed", "signs", lambda: jnp.sign(pivot()))
        self.log_pivot = self.param("log_pivot", lambda _: jnp.log(jnp.abs(pivot())))
        self.low = self.param("low", lambda _: jnp.tril(lu(orthogonal())[1], -1))
        self.up = self.param("up", lambda _: jnp.triu(lu(orthogonal())[2], 1))

    def triangular(self):
        low = jnp.tril(self.low, -1) + jnp.eye(self.channels)
        up = jnp.triu(self.up, 1) + jnp.diag(self.signs.value * jnp.exp(self.log_pivot))
        return low, up

    def dense(self):
        if not self.use_lu:
            return self.kernel
        low, up = self.triangular()
        return self.rows.value @ low @ up

    def __call__(self, u):
        log_det = self.log_pivot.sum() if self.use_lu else jnp.linalg.slogdet(self.kernel)[1]
        v = jnp.einsum("nhwi,oi->nhwo", u, self.dense())
        return v, jnp.broadcast_to(log_det * u.shape[1] * u.shape[2], u.shape[:1])

    def back(self, v):
        columns = v.reshape(-1, self.channels).T
        if self.use_lu:
            low, up = self.triangular()
            columns = solve_triangular(low, self.rows.value.T @ columns, lower=True,
                                       unit_diagonal=True)
            columns = solve_triangular(up, columns, lower=False)
        else:
            columns = jnp.linalg.inv(self.kernel) @ columns
        return columns.T.reshape(v.shape)


class NullConv(nn.Module):
    """3x3 convolution, nil at the start, times a learned exponential amplitude."""

    features: int

    @nn.compact
    def __call__(self, u):
        v = nn.Conv(self.features, (3, 3), padding="SAME",
                    kernel_init=nn.initializers.zeros, bias_init=nn.initializers.zeros)(u)
        amplitude = self.param("amplitude", nn.initializers.zeros, (self.features,))
        return v * jnp.exp(3 * amplitude)


class AffineHalf(nn.Module):
    """One half of the channels is transformed under the direction of the other."""

    channels: int
    units: int

    def setup(self):
        narrow = nn.initializers.normal(0.05)
        self.director = nn.Sequential([
            nn.Conv(self.units, (3, 3), padding="SAME", kernel_init=narrow), nn.relu,
            nn.Conv(self.units, (1, 1), kernel_init=narrow), nn.relu,
            NullConv(self.channels)])

    def direct(self, fixed):
        free, bias = jnp.split(self.director(fixed), 2, axis=-1)
        return 2.0 * jnp.tanh(free / 2.0), bias  # a limited range, so that back() stays stable

    def __call__(self, u):
        fixed, varied = jnp.split(u, 2, axis=-1)
        log_mult, bias = self.direct(fixed)
        v = jnp.concatenate([fixed, (varied + bias) * jnp.exp(log_mult)], axis=-1)
        return v, log_mult.sum(axis=(1, 2, 3))

    def back(self, v):
        fixed, varied = jnp.split(v, 2, axis=-1)
        log_mult, bias = self.direct(fixed)
        return jnp.concatenate([fixed, varied * jnp.exp(-log_mult) - bias], axis=-1)
