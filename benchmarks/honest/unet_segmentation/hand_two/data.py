"""Slices on disk -> augmented training patches.

Expected layout: ``root/images/<case>.npy`` (H x W or C x H x W, float) and
``root/masks/<case>.npy`` (H x W, integer labels).
"""
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import Dataset


def list_cases(root):
    return sorted(p.stem for p in Path(root, "images").glob("*.npy"))


def normalise(image, low=0.5, high=99.5):
    """Clip every channel to its percentiles, then shift and scale to zero mean, unit variance."""
    out = np.empty_like(image, dtype=np.float32)
    for c, channel in enumerate(image):
        lo, hi = np.percentile(channel, (low, high))
        channel = np.clip(channel, lo, hi)
        out[c] = (channel - channel.mean()) / max(float(channel.std()), 1e-8)
    return out


def load_case(root, name):
    image = np.load(Path(root, "images", f"{name}.npy")).astype(np.float32)
    mask = np.load(Path(root, "masks", f"{name}.npy")).astype(np.int64)
    if image.ndim == 2:
        image = image[None]
    return normalise(image), mask


class Augment:
    """Flips, rotation and elastic deformation in one resampling, gamma."""

    def __init__(self, rng, p_rotate=0.3, p_elastic=0.2, p_gamma=0.3, max_angle=30.0):
        self.rng = rng
        self.p_rotate, self.p_elastic, self.p_gamma = p_rotate, p_elastic, p_gamma
        self.max_angle = np.deg2rad(max_angle)

    def __call__(self, image, mask):
        for axis in (1, 2):
            if self.rng.random() < 0.5:
                image, mask = image.flip(axis), mask.flip(axis - 1)
        image, mask = self.spatial(image, mask)
        if self.rng.random() < self.p_gamma:
            image = self.gamma(image)
        return image, mask

    def spatial(self, image, mask):
        rotate = self.rng.random() < self.p_rotate
        elastic = self.rng.random() < self.p_elastic
        if not (rotate or elastic):
            return image, mask
        h, w = mask.shape
        angle = self.rng.uniform(-self.max_angle, self.max_angle) if rotate else 0.0
        c, s = np.cos(angle), np.sin(angle)
        # grid coordinates are relative to each side, hence the aspect-ratio factors
        theta = torch.tensor([[[c, -s * h / w, 0.0], [s * w / h, c, 0.0]]], dtype=torch.float32)
        grid = F.affine_grid(theta, (1, 1, h, w), align_corners=False)
        if elastic:
            knots = int(self.rng.integers(4, 9))
            field = self.rng.normal(0, 0.25 / knots, (1, 2, knots, knots)).astype(np.float32)
            field = F.interpolate(torch.from_numpy(field), size=(h, w), mode="bicubic", align_corners=True)
            grid = grid + field.permute(0, 2, 3, 1)
        image = F.grid_sample(image[None], grid, mode="bilinear", padding_mode="border", align_corners=False)
        mask = F.grid_sample(mask[None, None].float(), grid, mode="nearest", padding_mode="border", align_corners=False)
        return image[0], mask[0, 0].round().long()

    def gamma(self, image):
        exponent = float(np.exp(self.rng.uniform(np.log(0.7), np.log(1.5))))
        lo = image.amin((1, 2), keepdim=True)
        span = (image.amax((1, 2), keepdim=True) - lo).clamp_min(1e-6)
        unit = (image - lo) / span
        return unit ** exponent * span + lo


class PatchDataset(Dataset):
    """Draws ``length`` random patches per epoch; a fraction is centred near a foreground pixel."""

    def __init__(self, root, names, patch_size=(256, 256), length=2000, fg_fraction=0.33, seed=0):
        self.patch_size, self.length, self.fg_fraction = tuple(patch_size), length, fg_fraction
        self.seed, self.epoch = seed, 0
        self.cases = [load_case(root, n) for n in names]
        self.foreground = []
        for _, mask in self.cases:
            self.foreground.append({k: np.argwhere(mask == k) for k in np.unique(mask) if k > 0})
        self.with_fg = [i for i, f in enumerate(self.foreground) if f]

    def __len__(self):
        return self.length

    def _start(self, rng, size, patch, centre):
        if centre is None:
            return int(rng.integers(0, size - patch + 1))
        jitter = int(rng.integers(-patch // 4, patch // 4 + 1))
        return int(np.clip(centre + jitter - patch // 2, 0, size - patch))

    def __getitem__(self, index):
        rng = np.random.default_rng((self.seed, self.epoch, index))
        centre = (None, None)
        if self.with_fg and rng.random() < self.fg_fraction:
            case = int(rng.choice(self.with_fg))
            points = self.foreground[case][rng.choice(list(self.foreground[case]))]
            centre = points[rng.integers(len(points))]
        else:
            case = int(rng.integers(len(self.cases)))
        image, mask = self.cases[case]

        ph, pw = self.patch_size
        padding = ((0, max(ph - mask.shape[0], 0)), (0, max(pw - mask.shape[1], 0)))
        image, mask = np.pad(image, ((0, 0), *padding)), np.pad(mask, padding)
        y = self._start(rng, mask.shape[0], ph, centre[0])
        x = self._start(rng, mask.shape[1], pw, centre[1])
        image = torch.from_numpy(image[:, y:y + ph, x:x + pw].copy())
        mask = torch.from_numpy(mask[y:y + ph, x:x + pw].copy())
        return Augment(rng)(image, mask)
