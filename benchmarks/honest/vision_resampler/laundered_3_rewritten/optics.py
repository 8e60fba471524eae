"""Pixels: separable cubic resampling as two matrix products, colour shift, patches by index."""

from functools import lru_cache

import torch


def _cubic(t):
    """Keys' kernel with a = -1/2."""
    t = t.abs()
    near = (1.5 * t - 2.5) * t * t + 1
    far = ((-0.5 * t + 2.5) * t - 4) * t + 2
    return torch.where(t < 1, near, torch.where(t < 2, far, torch.zeros_like(t)))


@lru_cache(maxsize=64)
def _lens(n_from, n_to):
    """(n_to, n_from): each row mixes the input pixels around one output pixel."""
    ratio = n_from / n_to
    blur = max(ratio, 1.0)  # shrinking widens the kernel
    centre = (torch.arange(n_to, dtype=torch.float64) + 0.5) * ratio
    pixel = torch.arange(n_from, dtype=torch.float64) + 0.5
    mix = _cubic((pixel.unsqueeze(0) - centre.unsqueeze(1)) / blur)
    return mix / mix.sum(1, keepdim=True)


def look(picture, size, spec):
    """Resample (3, H, W) to `size` and move the colours to the range the encoder expects."""
    left = _lens(picture.shape[1], size[0]).to(picture)
    right = _lens(picture.shape[2], size[1]).to(picture)
    seen = torch.einsum("yh,chw,xw->cyx", left, picture, right)
    seen = torch.maximum(torch.minimum(seen, seen.new_ones(())), seen.new_zeros(()))
    for channel, (offset, spread) in zip(seen, spec.colour):
        channel.sub_(offset).mul_(1 / spread)
    return seen


def all_looks(picture, the_plan, spec):
    yield look(picture, the_plan.whole, spec)
    if the_plan.is_split:
        sheet = look(picture, the_plan.sheet(), spec)
        for top, bottom, left, right in the_plan.windows():
            yield sheet[:, top:bottom, left:right]


def grains(seen, g):
    """Flattened patches of one look and the lattice coordinate of each: (n, 3 g g), (n, 2)."""
    columns = torch.nn.functional.unfold(seen[None], kernel_size=g, stride=g)[0]
    across = seen.shape[2] // g
    order = torch.arange(columns.shape[1], device=seen.device)
    where = torch.stack([order // across, order % across], dim=1)
    return columns.T, where


def pack(looks, g):
    """One long sequence for all looks: patches (N, 3 g g), coordinates (N, 2), owner (N,)."""
    pixels, where, owner = [], [], []
    for number, seen in enumerate(looks):
        p, w = grains(seen, g)
        pixels.append(p)
        where.append(w)
        owner.append(torch.full((len(p),), number, device=p.device))
    return torch.cat(pixels), torch.cat(where), torch.cat(owner)


def phases(where, d):
    """Coordinates (N, 2) -> (N, d). Per axis a block of sines and a block of cosines."""
    if d & 3:
        raise ValueError("the model width has to be a multiple of four")
    q = d // 4
    ladder = torch.logspace(0, -4 * (q - 1) / q, q, base=10.0, device=where.device)
    spin = torch.polar(torch.ones((), device=where.device), where.float().unsqueeze(2) * ladder)  # (N, 2, q)
    return torch.stack([spin.imag, spin.real], dim=2).flatten(1)
