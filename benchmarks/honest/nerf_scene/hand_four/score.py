"""PSNR and SSIM of images (H,W,3) in [0,1]."""
import torch
import torch.nn.functional as F


def psnr(a, b):
    return float(-10.0 * torch.log10(((a - b) ** 2).mean().clamp_min(1e-12)))


def ssim(a, b, n=11, sg=1.5):
    u = torch.arange(n, dtype=torch.float32, device=a.device) - (n - 1) / 2
    g = torch.exp(-0.5 * (u / sg) ** 2)
    g = g / g.sum()
    k = (g[:, None] * g[None])[None, None]
    a, b = a.permute(2, 0, 1)[:, None], b.permute(2, 0, 1)[:, None]   # channels as batch
    E = lambda x: F.conv2d(x, k)
    ma, mb = E(a), E(b)
    va, vb, cab = E(a * a) - ma ** 2, E(b * b) - mb ** 2, E(a * b) - ma * mb
    c1, c2 = 0.01 ** 2, 0.03 ** 2
    return float(((2 * ma * mb + c1) * (2 * cab + c2) / ((ma ** 2 + mb ** 2 + c1) * (va + vb + c2))).mean())
