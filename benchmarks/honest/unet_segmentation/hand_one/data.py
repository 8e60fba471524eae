"""Slice dataset, patch sampling and augmentation.

Expected layout:  root/images/<case>.npy  (H, W) or (C, H, W) float
                  root/masks/<case>.npy   (H, W) integer labels
"""
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import rotate
from torch.utils.data import Dataset


def list_cases(root):
    root = Path(root)
    names = sorted(p.stem for p in (root / "images").glob("*.npy"))
    cases = [n for n in names if (root / "masks" / f"{n}.npy").exists()]
    return cases


def split_cases(cases, val_fraction=0.2, seed=0):
    order = np.random.default_rng(seed).permutation(len(cases))
    n_val = max(1, round(len(cases) * val_fraction))
    return [cases[i] for i in order[n_val:]], [cases[i] for i in order[:n_val]]


def normalise(image, low=0.5, high=99.5):
    """Clip each channel to its percentiles, then z-score it."""
    out = np.empty(image.shape, dtype=np.float32)
    for c, channel in enumerate(image):
        lo, hi = np.percentile(channel, [low, high])
        clipped = np.clip(channel, lo, hi)
        out[c] = (clipped - clipped.mean()) / max(clipped.std(), 1e-8)
    return out


def load_case(root, name):
    root = Path(root)
    image = np.load(root / "images" / f"{name}.npy").astype(np.float32)
    if image.ndim == 2:
        image = image[None]
    mask = np.load(root / "masks" / f"{name}.npy").astype(np.int64)
    if image.shape[1:] != mask.shape:
        raise ValueError(f"{name}: image {image.shape} and mask {mask.shape} do not match")
    return normalise(image), mask


class Augment:
    """Flips, rotation about the centre, gamma."""

    def __init__(self, p_rotate=0.3, p_gamma=0.3, max_angle=30.0, gamma_range=(0.7, 1.5)):
        self.p_rotate, self.p_gamma = p_rotate, p_gamma
        self.max_angle, self.gamma_range = max_angle, gamma_range

    def __call__(self, image, mask, rng):
        for axis in (0, 1):
            if rng.random() < 0.5:
                image, mask = np.flip(image, axis + 1), np.flip(mask, axis)
        if rng.random() < self.p_rotate:
            angle = rng.uniform(-self.max_angle, self.max_angle)
            image = rotate(image, angle, axes=(2, 1), reshape=False, order=1, mode="nearest")
            mask = rotate(mask, angle, reshape=False, order=0, mode="constant")
        if rng.random() < self.p_gamma:
            image = self.gamma(image, rng.uniform(*self.gamma_range))
        return np.ascontiguousarray(image), np.ascontiguousarray(mask)

    @staticmethod
    def gamma(image, g):
        lo, span = image.min(), max(np.ptp(image), 1e-8)
        x = ((image - lo) / span) ** g
        return (x - x.mean()) / max(x.std(), 1e-8) * image.std() + image.mean()


class PatchDataset(Dataset):
    """Random patches; a share of them is centred on a foreground pixel."""

    def __init__(self, root, cases, patch_size=(256, 256), length=2000,
                 foreground_prob=0.33, augment=None):
        self.data = [load_case(root, c) for c in cases]
        # pixel coordinates per foreground label, so that rare labels get their turn
        self.locations = [{int(k): np.argwhere(m == k) for k in np.unique(m) if k > 0}
                          for _, m in self.data]
        self.with_foreground = [i for i, loc in enumerate(self.locations) if loc]
        self.patch_size = tuple(patch_size)
        self.length = length
        self.foreground_prob = foreground_prob
        self.augment = augment

    def __len__(self):
        return self.length

    def __getitem__(self, _):
        rng = np.random.default_rng(int(torch.randint(2 ** 31, (1,))))
        if self.with_foreground and rng.random() < self.foreground_prob:
            idx = rng.choice(self.with_foreground)
            label = rng.choice(list(self.locations[idx]))
            centre = rng.choice(self.locations[idx][label])
        else:
            idx, centre = rng.integers(len(self.data)), None
        image, mask = self.crop(*self.data[idx], centre, rng)
        if self.augment is not None:
            image, mask = self.augment(image, mask, rng)
        return torch.from_numpy(image).float(), torch.from_numpy(mask).long()

    def crop(self, image, mask, centre, rng):
        pads = []
        for size, patch in zip(mask.shape, self.patch_size):
            missing = max(patch - size, 0)
            pads.append((missing // 2, missing - missing // 2))
        image = np.pad(image, [(0, 0)] + pads)
        mask = np.pad(mask, pads)
        window = []
        for d, patch in enumerate(self.patch_size):
            last = mask.shape[d] - patch
            if centre is None:
                start = rng.integers(last + 1)
            else:
                start = np.clip(centre[d] + pads[d][0] - patch // 2, 0, last)
            window.append(slice(int(start), int(start) + patch))
        return image[:, window[0], window[1]], mask[window[0], window[1]]
