"""Random views of image batches (B, 3, H, W) with values in 0..1; every image draws its own numbers."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

LUMA = (0.299, 0.587, 0.114)
# luma and two chroma axes; hue is the angle in the chroma plane
YIQ = torch.tensor([LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)])


@dataclass(frozen=True)
class AugmentConfig:
    size: int = 112
    area: tuple = (0.4, 1.0)
    aspect: float = 4 / 3
    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.3
    hue: float = 0.05  # of a full turn
    jitter: float = 0.8  # chance
    solarise: float = 0.1  # chance
    flip: bool = False  # captions say "left" and "right"


def uniform(n, lo, hi, x):
    return torch.empty(n, device=x.device).uniform_(lo, hi)


def crop_resize(x, box, size):
    """Resample boxes (B, 4), given as centre and half extent (cx, cy, hx, hy) in -1..1, to (B, 3, size, size)."""
    u = (torch.arange(size, device=x.device) + 0.5) * 2 / size - 1
    cx, cy, hx, hy = (t[:, None] for t in box.unbind(1))
    gx, gy = cx + hx * u, cy + hy * u  # (B, size)
    grid = torch.stack([gx[:, None, :].expand(-1, size, -1), gy[:, :, None].expand(-1, -1, size)], -1)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def random_resized_crop(x, c):
    b, _, h, w = x.shape
    area = uniform(b, *c.area, x)
    ratio = c.aspect ** uniform(b, -1, 1, x) * h / w  # log-uniform in pixels, then in units of the image
    hx = (area * ratio).sqrt().clamp(max=1)
    hy = (area / ratio).sqrt().clamp(max=1)
    cx = (1 - hx) * uniform(b, -1, 1, x)
    cy = (1 - hy) * uniform(b, -1, 1, x)
    return crop_resize(x, torch.stack([cx, cy, hx, hy], 1), c.size)


def colour_matrix(c, b, x):
    """Saturation and hue together: a rotation and scaling of the chroma plane, back in RGB, (B, 3, 3)."""
    s = uniform(b, 1 - c.saturation, 1 + c.saturation, x)
    phi = 2 * torch.pi * uniform(b, -c.hue, c.hue, x)
    m = torch.zeros(b, 3, 3, device=x.device)
    m[:, 0, 0] = 1
    m[:, 1, 1] = m[:, 2, 2] = s * phi.cos()
    m[:, 2, 1] = s * phi.sin()
    m[:, 1, 2] = -m[:, 2, 1]
    yiq = YIQ.to(x.device)
    return torch.einsum("ij,bjk,kl->bil", torch.linalg.inv(yiq), m, yiq)


def jitter(x, c):
    b = len(x)
    y = x * uniform(b, 1 - c.brightness, 1 + c.brightness, x)[:, None, None, None]
    mean = torch.einsum("c,bchw->b", torch.tensor(LUMA, device=x.device), y) / (y.shape[2] * y.shape[3])
    mean = mean[:, None, None, None]
    y = mean + (y - mean) * uniform(b, 1 - c.contrast, 1 + c.contrast, x)[:, None, None, None]
    return torch.einsum("bij,bjhw->bihw", colour_matrix(c, b, x), y).clamp(0, 1)


def solarise(x, threshold):
    return torch.where(x < threshold, x, 1 - x)


def sometimes(chance, x, y):
    """y for a random share of the images, x for the others."""
    return torch.where((uniform(len(x), 0, 1, x) < chance)[:, None, None, None], y, x)


def augment(x, c):
    x = random_resized_crop(x, c)
    x = sometimes(c.jitter, x, jitter(x, c))
    x = sometimes(c.solarise, x, solarise(x, uniform(len(x), 0.4, 0.8, x)[:, None, None, None]))
    return sometimes(0.5, x, x.flip(-1)) if c.flip else x


def centre(x, c):
    """The largest centred square, for evaluation."""
    h, w = x.shape[-2:]
    s = min(h, w)
    return crop_resize(x, torch.tensor([[0, 0, s / w, s / h]], device=x.device).expand(len(x), 4), c.size)
