"""Pairs root/images/*.npy and root/masks/*.npy -> random augmented patches."""
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, map_coordinates


def list_pairs(root):
    root = Path(root)
    P = [(p, root / "masks" / p.name) for p in sorted((root / "images").glob("*.npy"))]
    lost = [m.name for _, m in P if not m.exists()]
    if lost or not P:
        raise FileNotFoundError(f"{root}: {len(P)} images, without mask: {lost[:5]}")
    return P


def read(pi, pm, q=(0.5, 99.5)):
    """Clip to the percentiles q, then zero mean and unit variance, channel by channel."""
    x = np.load(pi).astype(np.float32)
    m = np.load(pm).astype(np.int64)
    if x.ndim == 2:
        x = x[None]
    for c in range(len(x)):
        lo, hi = np.percentile(x[c], q)
        x[c] = np.clip(x[c], lo, hi)
        x[c] -= x[c].mean()
        x[c] /= max(float(x[c].std()), 1e-6)
    assert x.shape[1:] == m.shape, (pi, x.shape, m.shape)
    return x, m


def warp(x, m, rng, o):
    """Rotation, zoom and elastic displacement in one resampling."""
    H, W = m.shape
    c = np.array([(H - 1) / 2, (W - 1) / 2])[:, None, None]
    r = np.stack(np.meshgrid(np.arange(H), np.arange(W), indexing="ij")).astype(np.float64) - c
    hit = False
    if rng.random() < o["p_rot"]:
        th = np.deg2rad(rng.uniform(-o["rot"], o["rot"]))
        s = np.exp(rng.uniform(-1, 1) * np.log(o["zoom"]))
        R = s * np.array([[np.cos(th), -np.sin(th)], [np.sin(th), np.cos(th)]])
        r = np.einsum("ij,jhw->ihw", R, r)
        hit = True
    if rng.random() < o["p_ela"]:
        sg = rng.uniform(*o["ela_sigma"])
        u = np.stack([gaussian_filter(rng.standard_normal((H, W)), sg, mode="wrap") for _ in range(2)])
        u *= rng.uniform(0, o["ela_amp"]) / (np.sqrt((u ** 2).mean()) + 1e-12)   # rms in pixels
        r = r + u
        hit = True
    if not hit:
        return x, m
    r = r + c
    x = np.stack([map_coordinates(a, r, order=1, mode="reflect") for a in x])
    return x, map_coordinates(m, r, order=0, mode="reflect")


def gamma(x, rng, o):
    g = np.exp(rng.uniform(*np.log(o["gamma"])))
    sgn = -1.0 if rng.random() < 0.25 else 1.0      # sometimes act on the inverted image
    mu, sd = x.mean((1, 2), keepdims=True), x.std((1, 2), keepdims=True)
    y = sgn * x
    lo, hi = y.min((1, 2), keepdims=True), y.max((1, 2), keepdims=True)
    y = sgn * ((y - lo) / (hi - lo + 1e-7)) ** g
    y = (y - y.mean((1, 2), keepdims=True)) / (y.std((1, 2), keepdims=True) + 1e-7)
    return y * sd + mu                               # keep first two moments


class Patches(torch.utils.data.Dataset):
    def __init__(self, pairs, o, n, seed=0):
        self.data = [read(*p) for p in pairs]        # slices are small, keep them in memory
        self.o, self.n, self.seed, self.ep = o, n, seed, 0
        # foreground coordinates per class, once
        self.fg = [{int(k): np.argwhere(m == k) for k in np.unique(m) if k > 0} for _, m in self.data]
        self.with_fg = [i for i, f in enumerate(self.fg) if f]

    def __len__(self):
        return self.n

    def __getitem__(self, j):
        o, rng = self.o, np.random.default_rng((self.seed, self.ep, j))
        P = o["patch"]
        force = bool(self.with_fg) and rng.random() < o["p_fg"]
        i = int(rng.choice(self.with_fg)) if force else int(rng.integers(len(self.data)))
        x, m = self.data[i]
        e = [max(0, P - s) for s in m.shape]
        pad = [(d // 2, d - d // 2) for d in e]
        if force:
            R = self.fg[i][int(rng.choice(list(self.fg[i])))]
            r = R[rng.integers(len(R))] + np.array([pad[0][0], pad[1][0]])
        if any(e):
            x = np.pad(x, [(0, 0)] + pad)
            m = np.pad(m, pad)
        if force:   # patch holds the drawn voxel somewhere in its inner half
            a = [int(np.clip(r[k] - rng.integers(P // 4, P - P // 4), 0, m.shape[k] - P)) for k in (0, 1)]
        else:
            a = [int(rng.integers(s - P + 1)) for s in m.shape]
        x, m = x[:, a[0]:a[0] + P, a[1]:a[1] + P], m[a[0]:a[0] + P, a[1]:a[1] + P]
        x, m = warp(x, m, rng, o)
        for ax in (0, 1):
            if rng.random() < 0.5:
                x, m = np.flip(x, ax + 1), np.flip(m, ax)
        if rng.random() < o["p_gam"]:
            x = gamma(x, rng, o)
        if rng.random() < o["p_noise"]:
            x = x + rng.uniform(0, o["noise"]) * rng.standard_normal(x.shape)
        return torch.from_numpy(np.array(x, np.float32)), torch.from_numpy(np.array(m, np.int64))
