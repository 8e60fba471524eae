"""Images, poses, rays."""
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image


def load(root, split, shrink=2, skip=1, white=True):
    """-> I (N,H,W,3) in [0,1], T (N,4,4) camera to world, focal length in pixels."""
    root = Path(root)
    js = root / f"transforms_{split}.json"
    meta = json.loads((js if js.exists() else root / "transforms.json").read_text())
    I, T = [], []
    for fr in meta["frames"][::skip]:
        p = root / fr["file_path"]
        p = p if p.suffix else p.with_name(p.name + ".png")
        im = Image.open(p).convert("RGBA")
        a = np.asarray(im, np.float32) / 255.0
        # composite first, average afterwards: no dark rims
        a = a[..., :3] * a[..., 3:] + (1.0 - a[..., 3:]) * float(white)
        if shrink > 1:
            H, W = (s // shrink for s in a.shape[:2])
            a = a[:H * shrink, :W * shrink].reshape(H, shrink, W, shrink, 3).mean((1, 3))
        I.append(a)
        T.append(fr["transform_matrix"])
    I = torch.from_numpy(np.stack(I))
    T = torch.tensor(T, dtype=torch.float32)
    f = 0.5 * I.shape[2] / np.tan(0.5 * meta["camera_angle_x"])
    return I, T, float(f)


def rays(H, W, f, T):
    """Pixel-centre rays of one camera, which looks along -z: o, d of shape (H,W,3); d not normalised."""
    v, u = torch.meshgrid(torch.arange(H) + 0.5, torch.arange(W) + 0.5, indexing="ij")
    k = torch.stack(((u - 0.5 * W) / f, (0.5 * H - v) / f, -torch.ones_like(u)), -1).to(T)
    d = k @ T[:3, :3].T
    return T[:3, 3].expand_as(d), d


def look_at(e, c=(0.0, 0.0, 0.0), up=(0.0, 0.0, 1.0)):
    e, c, up = (np.asarray(s, np.float64) for s in (e, c, up))
    z = e - c
    z /= np.linalg.norm(z)
    x = np.cross(up, z)
    x /= np.linalg.norm(x)
    M = np.eye(4)
    M[:3] = np.stack((x, np.cross(z, x), z, e), 1)
    return torch.tensor(M, dtype=torch.float32)


def path(kind, n, R=4.0, lat=30.0, turns=2):
    """circle: fixed latitude. spiral: climbs from near the equator to near the pole."""
    s = np.arange(n) / n
    if kind == "circle":
        ph, th = 2 * np.pi * s, np.full(n, np.deg2rad(lat))
    elif kind == "spiral":
        ph, th = 2 * np.pi * turns * s, np.deg2rad(5.0 + 70.0 * s)
    else:
        raise ValueError(kind)
    return [look_at(R * np.array([np.cos(t) * np.cos(p), np.cos(t) * np.sin(p), np.sin(t)])) for p, t in zip(ph, th)]
