"""Continuous-time Gaussian diffusion: x_t = a x + s n with a^2 + s^2 = 1, and v = a n - s x.

v: Salimans and Ho 2022. Cosine: Nichol and Dhariwal 2021. DDIM: Song et al. 2021.
Guidance: Ho and Salimans 2022.
"""

from collections.abc import Callable
from itertools import pairwise
from math import atan, exp, pi

import torch
import torch.nn.functional as F
from torch import Tensor

Denoiser = Callable[[Tensor, Tensor], Tensor]


def angle(t: Tensor, lim: float = 10.0) -> Tensor:
    """Cosine schedule as an angle in (0, pi/2), cut so that the log-SNR stays within +-lim."""
    lo = atan(exp(-lim / 2))
    return lo + t * (pi / 2 - 2 * lo)


def alpha_sigma(t: Tensor) -> tuple[Tensor, Tensor]:
    """Signal and noise amplitudes of times t (B,), shaped (B, 1, 1, 1)."""
    p = angle(t)[:, None, None, None]
    return p.cos(), p.sin()


def from_v(x: Tensor, v: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """(clean image, noise) that x_t and v imply."""
    a, s = alpha_sigma(t)
    return a * x - s * v, s * x + a * v


def loss(net, x: Tensor, y: Tensor | None, p_drop: float = 0.1) -> Tensor:
    """Mean v error at stratified random times; labels are dropped with p_drop for guidance."""
    b = len(x)
    t = (torch.randperm(b, device=x.device) + torch.rand(b, device=x.device)) / b
    a, s = alpha_sigma(t)
    n = torch.randn_like(x)
    if y is not None:
        y = y.masked_fill(torch.rand(b, device=x.device) < p_drop, net.c["classes"])
    return F.mse_loss(net(a * x + s * n, t, y), a * n - s * x)


def guided(net, y: Tensor | None, w: float) -> Denoiser:
    """v of label y pushed away from the unlabelled v: w = 0 no label, 1 plain, more = stronger."""
    if y is None or w == 1:
        return lambda x, t: net(x, t, y)
    both = torch.cat([y, torch.full_like(y, net.c["classes"])])

    def f(x: Tensor, t: Tensor) -> Tensor:
        c, u = net(x.repeat(2, 1, 1, 1), t.repeat(2), both).chunk(2)
        return torch.lerp(u, c, w)

    return f


def dynamic_clip(x: Tensor, q: float) -> Tensor:
    """Squeeze each image into [-1, 1] by its q-quantile when that exceeds 1; plain clamp for q = 1."""
    if q >= 1:
        return x.clamp(-1, 1)
    m = x.flatten(1).abs().quantile(q, 1).clamp(min=1)[:, None, None, None]
    return x.clamp(-m, m) / m


@torch.inference_mode()
def sample(
    f: Denoiser,
    shape: tuple[int, ...],
    steps: int,
    *,
    eta: float = 0.0,
    q: float = 1.0,
    seed: int = 0,
    device="cpu",
) -> Tensor:
    """Noise -> images in [-1, 1]. eta = 0 is DDIM, eta = 1 is ancestral DDPM, between is between."""
    g = torch.Generator(device).manual_seed(seed)
    x = torch.randn(shape, generator=g, device=device)
    grid = torch.linspace(1, 0, steps + 1, device=device)[:, None].expand(-1, len(x))
    for t, u in pairwise(grid):
        (a, s), (b, r) = alpha_sigma(t), alpha_sigma(u)
        x0 = dynamic_clip(from_v(x, f(x, t), t)[0], q)
        eps = (x - a * x0) / s
        if (u == 0).all():
            return x0
        # posterior deviation: r/s * sqrt(1 - a^2/b^2), scaled by eta
        d = eta * r / s * (1 - (a / b).square()).clamp(min=0).sqrt()
        x = b * x0 + (r.square() - d.square()).clamp(min=0).sqrt() * eps
        if eta:
            x = x + d * torch.randn(shape, generator=g, device=device)
    return x
