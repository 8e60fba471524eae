"""Tiled prediction and the two scores."""
import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import binary_erosion, distance_transform_edt


def bump(P, s=0.125):
    # separable gaussian of width s*P, floored so that corners never divide by zero
    u = (torch.arange(P, dtype=torch.float32) - (P - 1) / 2) / (s * P)
    g = torch.exp(-0.5 * u * u)
    G = g[:, None] * g[None, :]
    return (G / G.max()).clamp_min(1e-3)


@torch.no_grad()
def predict(f, x, P, n_cls, step=0.5, tta=True, nb=8, dev="cpu"):
    """x (C,H,W) numpy -> class probabilities (K,H,W), blended over tiles and mirrors."""
    f.eval()
    x = torch.as_tensor(x, dtype=torch.float32)
    H0, W0 = x.shape[-2:]
    x = F.pad(x, (0, max(0, P - W0), 0, max(0, P - H0)))
    H, W = x.shape[-2:]
    # number of tiles such that the real step never exceeds step*P; spread evenly
    ij = []
    for L in (H, W):
        n = int(np.ceil((L - P) / (step * P))) + 1
        ij.append(np.unique(np.rint(np.linspace(0, L - P, n)).astype(int)))
    pos = [(i, j) for i in ij[0] for j in ij[1]]
    G = bump(P).to(dev)
    num = torch.zeros(n_cls, H, W, device=dev)
    den = torch.zeros(H, W, device=dev)
    axes = [(), (2,), (3,), (2, 3)] if tta else [()]
    for k in range(0, len(pos), nb):
        b = torch.stack([x[:, i:i + P, j:j + P] for i, j in pos[k:k + nb]]).to(dev)
        p = sum(f(b.flip(a)).float().softmax(1).flip(a) if a else f(b).float().softmax(1) for a in axes)
        p = p / len(axes)
        for q, (i, j) in zip(p, pos[k:k + nb]):
            num[:, i:i + P, j:j + P] += q * G
            den[i:i + P, j:j + P] += G
    return (num / den)[:, :H0, :W0].cpu().numpy()


def dice(a, b):
    s = a.sum() + b.sum()
    return 2.0 * (a & b).sum() / s if s else np.nan     # class absent from both: not counted


def hd95(a, b, h=(1.0, 1.0)):
    """95th percentile of symmetric surface distances, pixel spacing h."""
    if not a.any() and not b.any():
        return np.nan
    if not a.any() or not b.any():
        return float(np.hypot(a.shape[0] * h[0], a.shape[1] * h[1]))   # worst case: the diagonal
    da, db = a & ~binary_erosion(a), b & ~binary_erosion(b)
    ab = distance_transform_edt(~db, sampling=h)[da]
    ba = distance_transform_edt(~da, sampling=h)[db]
    return float(max(np.percentile(ab, 95), np.percentile(ba, 95)))


def score(f, data, P, n_cls, h=(1.0, 1.0), **kw):
    """(cases, classes-1, 2) averaged over the cases -> (classes-1, 2)."""
    T = np.full((len(data), n_cls - 1, 2), np.nan)
    for n, (x, m) in enumerate(data):
        y = predict(f, x, P, n_cls, **kw).argmax(0)
        for k in range(1, n_cls):
            T[n, k - 1] = dice(y == k, m == k), hd95(y == k, m == k, h)
    ok = ~np.isnan(T)
    return np.where(ok, T, 0).sum(0) / np.maximum(ok.sum(0), 1)
