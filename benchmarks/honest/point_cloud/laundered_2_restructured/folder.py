"""Scans on disk: one directory per label, one .npy or .txt file per scan."""
import os

import numpy as np
import torch
from torch.utils.data import Dataset

from augment import fit_unit_ball


def _parse_txt(filename):
    with open(filename, "r", encoding="utf-8") as f:
        text = f.read().replace(",", " ")
    return np.loadtxt(text.splitlines(), ndmin=2)


PARSERS = {".npy": np.load, ".txt": _parse_txt}


def _extension(filename):
    return os.path.splitext(filename)[1]


def load_xyz(filename):
    parse = PARSERS.get(_extension(filename))
    if parse is None:
        raise ValueError(f"cannot read {filename}, only {', '.join(PARSERS)} files")
    data = parse(filename)
    usable = data.ndim == 2 and len(data) > 0 and data.shape[1] >= 3
    if not usable:
        raise ValueError(f"{filename} has shape {data.shape}, wanted rows of at least x, y and z")
    xyz = data[:, 0:3].astype("float32")
    if np.isnan(xyz).any() or np.isinf(xyz).any():
        raise ValueError(f"{filename} has nan or inf among its values")
    return xyz


def draw(rng, pts, n):
    """n random rows, with repeats only where the scan is too small."""
    rows = rng.choice(pts.shape[0], size=n, replace=pts.shape[0] < n)
    return pts[rows]


def list_labels(where):
    if not os.path.isdir(where):
        raise FileNotFoundError(f"{where} is not a directory")
    with os.scandir(where) as it:
        return sorted(e.name for e in it if e.is_dir())


def list_scans(where, labels):
    filenames, targets = [], []
    for label in list_labels(where):
        if label not in labels:
            raise ValueError(f"label {label} in {where} is not one of {labels}")
        for name in sorted(os.listdir(os.path.join(where, label))):
            if _extension(name) not in PARSERS:
                continue
            filenames.append(os.path.join(where, label, name))
            targets.append(labels.index(label))
    if len(filenames) == 0:
        raise ValueError(f"{where} has no readable scans in it")
    return filenames, targets


class Scans(Dataset):
    def __init__(self, n, where, labels=None, steps=()):
        self.labels = list(labels or list_labels(where))
        self.filenames, self.targets = list_scans(where, self.labels)
        self.steps = tuple(steps)
        self.n = n

    def __getitem__(self, i):
        seed = torch.randint(0, 2 ** 31, size=(1,)).item()
        rng = np.random.default_rng(seed)
        pts = fit_unit_ball(draw(rng, load_xyz(self.filenames[i]), self.n))
        for step in self.steps:
            pts = step(rng, pts)
        return torch.from_numpy(np.asarray(pts, dtype=np.float32)), self.targets[i]

    def __len__(self):
        return len(self.filenames)
