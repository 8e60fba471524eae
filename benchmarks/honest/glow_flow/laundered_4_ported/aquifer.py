"""The full model: images to codes at several scales with their log-likelihood, and codes to
images."""
import math
from dataclasses import dataclass
from typing import Tuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from strata import AffineHalf, NullConv, Pointwise, Standardise, pack, unpack


@dataclass
class ByteBridge:
    """uint8 to float and back; the floats are either shifted to mean zero or log-odds."""

    bit_depth: int = 8
    log_odds: bool = False
    pad: float = 0.05

    def there(self, raw, key=None):
        bins = 2 ** self.bit_depth
        u = jnp.floor(raw.astype(jnp.float32) / 2 ** (8 - self.bit_depth))
        u = (u + (0.5 if key is None else jax.random.uniform(key, u.shape))) / bins
        volume = jnp.full((len(u),), -math.log(bins) * u[0].size)
        if not self.log_odds:
            return u - 0.5, volume
        q = self.pad + (1 - 2 * self.pad) * u
        v = jnp.log(q) - jnp.log1p(-q)
        steep = math.log(1 - 2 * self.pad) + jax.nn.softplus(v) + jax.nn.softplus(-v)
        return v, volume + steep.sum(axis=(1, 2, 3))

    def back(self, v):
        if self.log_odds:
            u = (jax.nn.sigmoid(v) - self.pad) / (1 - 2 * self.pad)
        else:
            u = v + 0.5
        bins = 2 ** self.bit_depth
        u = jnp.clip(jnp.floor(u * bins), 0, bins - 1)
        return (u * 2 ** (8 - self.bit_depth)).astype(jnp.uint8)


class Layer(nn.Module):
    channels: int
    units: int
    use_lu: bool

    def setup(self):
        self.members = [Standardise(), Pointwise(self.channels, self.use_lu),
                        AffineHalf(self.channels, self.units)]

    def __call__(self, u):
        running = 0.0
        for member in self.members:
            u, volume = member(u)
            running = running + volume
        return u, running

    def back(self, v):
        for member in reversed(self.members):
            v = member.back(v)
        return v


class CodeDensity(nn.Module):
    """Gaussian without correlations for a code; given the rest of the image, if there is one.

    Codes are handed out with mean and deviation removed, and the density accounts for that.
    """

    channels: int
    guided: bool

    def setup(self):
        self.predictor = NullConv(2 * self.channels)

    def moments(self, guide):
        guide = guide if self.guided else jnp.zeros_like(guide)
        return jnp.split(self.predictor(guide), 2, axis=-1)

    def remove(self, code, guide):
        centre, log_dev = self.moments(guide)
        clean = (code - centre) * jnp.exp(-log_dev)
        density = -0.5 * (jnp.square(clean) + math.log(2 * math.pi)) - log_dev
        return clean, density.sum(axis=(1, 2, 3))

    def restore(self, clean, guide):
        centre, log_dev = self.moments(guide)
        return centre + clean * jnp.exp(log_dev)


class Aquifer(nn.Module):
    dims: Tuple[int, int, int] = (32, 32, 3)
    depth: int = 3
    layers: int = 16
    units: int = 256
    use_lu: bool = True
    bit_depth: int = 8
    log_odds: bool = False

    def setup(self):
        h, w, c = self.dims
        if h % 2 ** self.depth or w % 2 ** self.depth:
            raise ValueError(f"a {h}x{w} image does not halve {self.depth} times")
        self.to_bits = 1 / (math.log(2) * h * w * c)
        self.bridge = ByteBridge(self.bit_depth, self.log_odds)
        tiers, densities, code_dims = [], [], []
        for k in range(self.depth):
            h, w, c = h // 2, w // 2, c * 4
            tiers.append([Layer(c, self.units, self.use_lu) for _ in range(self.layers)])
            bottom = k == self.depth - 1
            if not bottom:
                c //= 2
            densities.append(CodeDensity(c, guided=not bottom))
            code_dims.append((h, w, c))
        self.tiers, self.densities, self.code_dims = tiers, densities, code_dims

    def analyse(self, raw, key=None):
        """Clean codes from the largest map to the smallest, and the log-likelihood in nats."""
        u, loglik = self.bridge.there(raw, key)
        codes = []
        for tier, density in zip(self.tiers, self.densities):
            u = pack(u)
            for layer in tier:
                u, volume = layer(u)
                loglik = loglik + volume
            u, code = jnp.split(u, 2, axis=-1) if density.guided else (u, u)
            clean, part = density.remove(code, u)
            codes.append(clean)
            loglik = loglik + part
        return codes, loglik

    def __call__(self, raw, key):
        """Bits for every value of every image."""
        return -self.analyse(raw, key)[1] * self.to_bits

    def synthesise(self, codes):
        u = None
        for tier, density, clean in zip(reversed(self.tiers), reversed(self.densities),
                                        reversed(codes)):
            if density.guided:
                u = jnp.concatenate([u, density.restore(clean, u)], axis=-1)
            else:
                u = density.restore(clean, clean)
            for layer in reversed(tier):
                u = layer.back(u)
            u = unpack(u)
        return self.bridge.back(u)

    def draw(self, key, n, temperature=0.7):
        keys = jax.random.split(key, len(self.code_dims))
        return self.synthesise([temperature * jax.random.normal(k, (n, *d))
                                for k, d in zip(keys, self.code_dims)])

    def blend(self, left, right, n=8):
        """Images between two (H, W, C) uint8 images, on a line through code space."""
        codes, _ = self.analyse(jnp.stack([left, right]))
        s = jnp.linspace(0, 1, n).reshape(-1, 1, 1, 1)
        return self.synthesise([(1 - s) * code[:1] + s * code[1:] for code in codes])
