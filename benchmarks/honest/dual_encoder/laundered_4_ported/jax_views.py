"""Random views in JAX; pictures are (batch, channels, height, width) between 0 and 1, and every function takes a key."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)
RGB_TO_YIQ = np.array([GREY, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)], dtype=np.float32)
YIQ_TO_RGB = np.linalg.inv(RGB_TO_YIQ)


@dataclass(frozen=True)
class ViewConfig:
    resolution: int = 112
    area_range: tuple = (0.4, 1.0)
    max_aspect: float = 4 / 3
    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.3
    hue: float = 0.05
    jitter_prob: float = 0.8
    solarize_prob: float = 0.1
    use_flip: bool = False


def expand(values):
    return values[:, None, None, None]


def draw(key, pictures, minval, maxval):
    return jax.random.uniform(key, (pictures.shape[0],), minval=minval, maxval=maxval)


def bilinear_sample(picture, x, y):
    """One picture (channels, height, width) at the columns x and rows y, all in -1..1; the border is repeated."""
    _, height, width = picture.shape
    columns = jnp.clip(((x + 1) * width - 1) / 2, 0, width - 1)
    rows = jnp.clip(((y + 1) * height - 1) / 2, 0, height - 1)
    left, top = jnp.floor(columns).astype(int), jnp.floor(rows).astype(int)
    right, bottom = jnp.minimum(left + 1, width - 1), jnp.minimum(top + 1, height - 1)
    dx, dy = columns - left, (rows - top)[:, None]
    upper = picture[:, top][:, :, left] * (1 - dx) + picture[:, top][:, :, right] * dx
    lower = picture[:, bottom][:, :, left] * (1 - dx) + picture[:, bottom][:, :, right] * dx
    return upper * (1 - dy) + lower * dy


def resample_boxes(pictures, boxes, resolution):
    """boxes (batch, 4) hold center x, center y, half width and half height in -1..1."""
    ticks = (jnp.arange(resolution) + 0.5) * 2 / resolution - 1
    center_x, center_y, half_x, half_y = (column[:, None] for column in boxes.T)
    return jax.vmap(bilinear_sample)(pictures, center_x + half_x * ticks, center_y + half_y * ticks)


def random_crop(key, pictures, cfg):
    height, width = pictures.shape[2:]
    area_key, aspect_key, x_key, y_key = jax.random.split(key, 4)
    area = draw(area_key, pictures, *cfg.area_range)
    aspect = cfg.max_aspect ** draw(aspect_key, pictures, -1, 1) * height / width
    half_x = jnp.minimum(jnp.sqrt(area * aspect), 1)
    half_y = jnp.minimum(jnp.sqrt(area / aspect), 1)
    center_x = (1 - half_x) * draw(x_key, pictures, -1, 1)
    center_y = (1 - half_y) * draw(y_key, pictures, -1, 1)
    return resample_boxes(pictures, jnp.stack([center_x, center_y, half_x, half_y], axis=1), cfg.resolution)


def chroma_matrices(key, pictures, cfg):
    """RGB matrices (batch, 3, 3) that rotate and scale the two chroma axes."""
    saturation_key, hue_key = jax.random.split(key)
    scale = draw(saturation_key, pictures, 1 - cfg.saturation, 1 + cfg.saturation)
    angle = 2 * jnp.pi * draw(hue_key, pictures, -cfg.hue, cfg.hue)
    cos, sin = scale * jnp.cos(angle), scale * jnp.sin(angle)
    rotation = jnp.zeros((pictures.shape[0], 3, 3))
    rotation = rotation.at[:, 0, 0].set(1)
    rotation = rotation.at[:, 1, 1].set(cos).at[:, 2, 2].set(cos)
    rotation = rotation.at[:, 2, 1].set(sin).at[:, 1, 2].set(-sin)
    return jnp.einsum("ij,bjk,kl->bil", YIQ_TO_RGB, rotation, RGB_TO_YIQ)


def color_jitter(key, pictures, cfg):
    brightness_key, contrast_key, chroma_key = jax.random.split(key, 3)
    out = pictures * expand(draw(brightness_key, pictures, 1 - cfg.brightness, 1 + cfg.brightness))
    grey = jnp.einsum("c,bchw->b", GREY, out) / (out.shape[2] * out.shape[3])
    grey = expand(grey)
    out = grey + (out - grey) * expand(draw(contrast_key, pictures, 1 - cfg.contrast, 1 + cfg.contrast))
    out = jnp.einsum("bij,bjhw->bihw", chroma_matrices(chroma_key, pictures, cfg), out)
    return jnp.clip(out, 0, 1)


def solarize(pictures, thresholds):
    return jnp.where(pictures < thresholds, pictures, 1 - pictures)


def apply_to_some(key, probability, pictures, changed):
    return jnp.where(expand(draw(key, pictures, 0, 1) < probability), changed, pictures)


def random_view(key, pictures, cfg):
    crop_key, jitter_key, jitter_coin, threshold_key, solarize_coin, flip_coin = jax.random.split(key, 6)
    pictures = random_crop(crop_key, pictures, cfg)
    pictures = apply_to_some(jitter_coin, cfg.jitter_prob, pictures, color_jitter(jitter_key, pictures, cfg))
    thresholds = expand(draw(threshold_key, pictures, 0.4, 0.8))
    pictures = apply_to_some(solarize_coin, cfg.solarize_prob, pictures, solarize(pictures, thresholds))
    if cfg.use_flip:
        pictures = apply_to_some(flip_coin, 0.5, pictures, pictures[..., ::-1])
    return pictures


def center_view(pictures, cfg):
    height, width = pictures.shape[-2:]
    side = min(height, width)
    box = jnp.array([[0, 0, side / width, side / height]])
    return resample_boxes(pictures, jnp.broadcast_to(box, (len(pictures), 4)), cfg.resolution)
