"""clouds on disk -> augmented batches. layout: root/{train,test}/<class>/*.{npy,txt}"""
from functools import reduce
from pathlib import Path

import numpy as np
import torch

readers = {
    ".npy": np.load,
    ".txt": lambda p: np.array([[float(v) for v in ln.replace(",", " ").split()]
                                for ln in open(p) if ln.strip() and ln[0] != "#"]),
}


def unit(a):
    """centre on the mean and shrink into the unit sphere; extra columns untouched."""
    xyz = a[:, :3] - a[:, :3].mean(0)
    r = np.sqrt((xyz ** 2).sum(1).max())
    return np.concatenate([xyz / max(r, 1e-9), a[:, 3:]], 1)


def read(p, ch=3):
    return unit(readers[p.suffix](p)[:, :ch].astype(np.float32))


def scan(root, split, names=None):
    d = Path(root) / split
    names = names or sorted(q.name for q in d.iterdir() if q.is_dir())
    return names, [(p, i) for i, c in enumerate(names)
                   for p in sorted((d / c).glob("*")) if p.suffix in readers]


def load(root, split, ch=3, names=None):
    names, items = scan(root, split, names)
    return names, [read(p, ch) for p, _ in items], np.array([y for _, y in items])


# --- augmentations: each maker returns f(rng, cloud) -> cloud

def turn(how="up"):
    def mat(g):
        if how == "up":
            t = g.uniform(0, 2 * np.pi)
            c, s = np.cos(t), np.sin(t)
            return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        q, r = np.linalg.qr(g.normal(size=(3, 3)))
        q = q * np.sign(np.diag(r))
        return q * np.linalg.det(q)     # odd dimension: flipping the sign fixes the handedness

    def f(g, a):
        m = mat(g).astype(a.dtype)
        vecs = [np.einsum("ni,ji->nj", a[:, k:k + 3], m) for k in range(0, a.shape[1] // 3 * 3, 3)]
        return np.concatenate(vecs + [a[:, len(vecs) * 3:]], 1)
    return f if how != "none" else lambda g, a: a


def jitter(sd=0.01, cap=0.03):
    def f(g, a):
        e = np.zeros_like(a)
        e[:, :3] = np.clip(g.normal(0, sd, (len(a), 3)), -cap, cap)
        return a + e
    return f


def scale(lo=0.8, hi=1.2):
    def f(g, a):
        s = np.ones(a.shape[1], a.dtype)
        s[:3] = g.uniform(lo, hi)
        return a * s
    return f


def drop(most=0.8):
    """forget a random share of points by overwriting them with the first one."""
    def f(g, a):
        gone = g.random(len(a)) < g.uniform(0, most)
        return np.where(gone[:, None], a[:1], a)
    return f


def chain(*fs):
    return lambda g, a: reduce(lambda x, f: f(g, x), fs, a)


def pick(g, a, n):
    return a[g.choice(len(a), n, replace=len(a) < n)]


def batches(xs, ys, n, bs, g, aug=None, shuffle=False, dev="cpu"):
    order = g.permutation(len(xs)) if shuffle else np.arange(len(xs))
    for i in range(0, len(order), bs):
        ks = order[i:i + bs]
        if shuffle and len(ks) < 2:     # batch norm cannot live on one sample
            continue
        x = np.stack([(aug or chain())(g, pick(g, xs[k], n)) for k in ks]).astype(np.float32)
        yield torch.from_numpy(x).to(dev), torch.from_numpy(ys[ks]).long().to(dev)
