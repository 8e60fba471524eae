"""Sampling along rays, volume rendering and image metrics."""
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class RenderConfig:
    near: float = 2.0
    far: float = 6.0
    n_coarse: int = 64
    n_fine: int = 128
    white_background: bool = True


def stratified(key, num_rays, cfg: RenderConfig):
    """One depth per equal bin: jittered when a key is given, the bin centre otherwise."""
    edges = jnp.linspace(cfg.near, cfg.far, cfg.n_coarse + 1)
    shape = (num_rays, cfg.n_coarse)
    offset = jnp.full(shape, 0.5) if key is None else jax.random.uniform(key, shape)
    return edges[:-1] + offset * (edges[1:] - edges[:-1])


def importance(key, depths, weights, count):
    """Draw `count` depths per ray from the piecewise-constant density given by weights."""
    edges = 0.5 * (depths[:, 1:] + depths[:, :-1])
    mass = weights[:, 1:-1] + 1e-5
    pdf = mass / mass.sum(-1, keepdims=True)
    cdf = jnp.pad(jnp.cumsum(pdf, -1), ((0, 0), (1, 0)))
    if key is None:
        u = jnp.broadcast_to(jnp.linspace(0.0, 1.0 - 1e-5, count), (len(depths), count))
    else:
        u = jax.random.uniform(key, (len(depths), count))
    # jnp.interp is exactly the inverse CDF once the axes are swapped.
    return jax.lax.stop_gradient(jax.vmap(jnp.interp)(u, cdf, edges))


def composite(rgb, sigma, depths, directions, white_background):
    gaps = jnp.diff(depths, axis=-1)
    gaps = jnp.concatenate([gaps, jnp.full_like(gaps[:, :1], 1e10)], axis=-1)
    optical = sigma * gaps * jnp.linalg.norm(directions, axis=-1, keepdims=True)
    before = jnp.cumsum(optical[:, :-1], axis=-1)
    transmittance = jnp.exp(-jnp.pad(before, ((0, 0), (1, 0))))
    weights = (1.0 - jnp.exp(-optical)) * transmittance
    color = jnp.einsum("rs,rsc->rc", weights, rgb)
    if white_background:
        color = color + 1.0 - weights.sum(-1, keepdims=True)
    return color, weights


def render_rays(model, params, origins, directions, cfg: RenderConfig, key=None):
    """Both passes; returns the coarse and the fine color. No key means no randomness."""
    k_coarse, k_fine = (None, None) if key is None else jax.random.split(key)
    viewdirs = directions / jnp.linalg.norm(directions, axis=-1, keepdims=True)

    def march(depths, which):
        points = origins[:, None] + depths[..., None] * directions[:, None]
        rgb, sigma = model.apply({"params": params[which]}, points, viewdirs)
        return composite(rgb, sigma, depths, directions, cfg.white_background)

    depths = stratified(k_coarse, len(origins), cfg)
    coarse, weights = march(depths, "coarse")
    extra = importance(k_fine, depths, weights, cfg.n_fine)
    fine, _ = march(jnp.sort(jnp.concatenate([depths, extra], -1), -1), "fine")
    return coarse, fine


@partial(jax.jit, static_argnums=(0, 4))
def _render_chunk(model, params, origins, directions, cfg):
    return render_rays(model, params, origins, directions, cfg)[1]


def render_image(model, params, origins, directions, cfg, chunk=4096):
    """[H, W, 3] rays -> [H, W, 3] image, a fixed-size chunk at a time (one compilation)."""
    shape = origins.shape
    o, d = origins.reshape(-1, 3), directions.reshape(-1, 3)
    total = len(o)
    padding = ((0, -total % chunk), (0, 0))
    o, d = np.pad(o, padding, mode="edge"), np.pad(d, padding, mode="edge")
    parts = [
        np.asarray(_render_chunk(model, params, o[i:i + chunk], d[i:i + chunk], cfg))
        for i in range(0, len(o), chunk)
    ]
    return np.clip(np.concatenate(parts)[:total].reshape(shape), 0.0, 1.0)


def psnr(a, b):
    return float(-10.0 * np.log10(max(np.mean((a - b) ** 2), 1e-12)))


def ssim(a, b, size=11, sigma=1.5):
    """Mean SSIM of two [H, W, 3] images in [0, 1], Gaussian window, valid region only."""
    taps = jnp.exp(-0.5 * ((jnp.arange(size) - size // 2) / sigma) ** 2)
    taps = taps / taps.sum()

    def blur(img):
        x = jnp.moveaxis(img, -1, 0)[:, None]
        x = jax.lax.conv(x, taps.reshape(1, 1, -1, 1), (1, 1), "VALID")
        return jax.lax.conv(x, taps.reshape(1, 1, 1, -1), (1, 1), "VALID")

    a, b = jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32)
    mu_a, mu_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mu_a ** 2, blur(b * b) - mu_b ** 2
    cov = blur(a * b) - mu_a * mu_b
    c1, c2 = 0.01 ** 2, 0.03 ** 2
    score = (2 * mu_a * mu_b + c1) * (2 * cov + c2)
    score /= (mu_a ** 2 + mu_b ** 2 + c1) * (var_a + var_b + c2)
    return float(score.mean())
