import math
import torch
from torch import nn


def get_betas(kind, steps):
    if kind == 'cosine':
        s = 0.008
        u = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
        alpha_bar = torch.cos((u + s) / (1 + s) * math.pi / 2).pow(2)
        betas = 1 - alpha_bar[1:] / alpha_bar[:-1]
    elif kind == 'linear':
        # rescale so that it works with less than 1000 steps too
        scale = 1000 / steps
        betas = torch.linspace(scale * 1e-4, scale * 0.02, steps, dtype=torch.float64)
    else:
        raise ValueError('schedule must be linear or cosine, got ' + str(kind))
    return betas.clamp(max=0.999)


def time_embedding(t, dim, max_period=10000.0):
    half = dim // 2
    freqs = torch.exp(
        torch.arange(half, device=t.device) * (-math.log(max_period) / half)
    )
    angles = t.float()[:, None] * freqs
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def zero_init(module):
    for p in module.parameters():
        nn.init.zeros_(p)
    return module


def infinite_batches(loader):
    while True:
        for images, _ in loader:
            yield images


@torch.no_grad()
def update_ema(ema, model, step, decay):
    # smaller decay at the start
    d = min(decay, (1 + step) / (10 + step))
    for e, p in zip(ema.parameters(), model.parameters()):
        e.lerp_(p, 1 - d)


def get_device():
    if torch.cuda.is_available():
        return 'cuda'
    return 'cpu'
