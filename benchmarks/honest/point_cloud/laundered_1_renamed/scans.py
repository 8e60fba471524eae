"""
Input side of ScanSorter: loads scans from disk, rescales and perturbs them.
"""

from abc import (
    ABC,
    abstractmethod,
)
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset


@dataclass(frozen=True)
class PerturbOptions:
    spin: bool = True
    noise_std: float = 0.01
    noise_clip: float = 0.04
    zoom_min: float = 0.8
    zoom_max: float = 1.2
    erase_max: float = 0.7


class ScanLoader:
    """Turns a file on disk into a float32 array with three columns."""

    EXTENSIONS = ('.npy', '.txt')

    def load(self, file):
        if file.suffix == '.npy':
            arr = np.load(file)
        elif file.suffix == '.txt':
            arr = self._load_ascii(file)
        else:
            raise ValueError(
                f'{file}: expected one of {self.EXTENSIONS}'
            )
        if (
            arr.ndim != 2
            or arr.shape[0] == 0
            or arr.shape[1] < 3
        ):
            raise ValueError(
                f'{file}: need a non-empty table of 3+ columns, got shape {arr.shape}'
            )
        # anything after z (normals, colours) is ignored
        xyz = arr[:, :3].astype(np.float32)
        if not np.isfinite(xyz).all():
            raise ValueError(
                f'{file}: contains coordinates that are not finite'
            )
        return xyz

    @staticmethod
    def _load_ascii(file):
        with open(file, encoding='utf-8') as fh:
            rows = [
                row.replace(',', ' ')
                for row in fh
            ]
        return np.loadtxt(rows, ndmin=2)


class BallFit:

    def run(self, scan):
        shifted = scan - scan.mean(axis=0)
        extent = np.linalg.norm(
            shifted,
            axis=1,
        ).max()
        return (
            shifted
            if extent == 0
            else shifted / extent
        )


class Perturbation(ABC):

    @abstractmethod
    def run(self, scan, rng):
        """Perturb one scan with the given random source; the input is left alone."""


class Spin(Perturbation):

    def run(self, scan, rng):
        theta = rng.uniform(0.0, 2.0 * np.pi)
        cos_t, sin_t = np.cos(theta), np.sin(theta)
        return scan @ np.array(
            [
                [cos_t, 0, -sin_t],
                [0, 1, 0],
                [sin_t, 0, cos_t],
            ],
            dtype=np.float32,
        )


class Zoom(Perturbation):

    def __init__(self, lo, hi):
        if not 0 < lo <= hi:
            raise ValueError(
                f'Scale range [{lo}, {hi}] is not valid'
            )
        self._lo, self._hi = lo, hi

    def run(self, scan, rng):
        return scan * rng.uniform(
            self._lo,
            self._hi,
        )


class Shake(Perturbation):

    def __init__(self, std, clip):
        self._std, self._clip = std, clip

    def run(self, scan, rng):
        delta = rng.normal(
            0.0,
            self._std,
            scan.shape,
        )
        return scan + delta.clip(
            -self._clip,
            self._clip,
        )


class Erase(Perturbation):
    """Simulates missing returns; erased rows become duplicates of a kept row."""

    def __init__(self, max_ratio):
        self._max_ratio = max_ratio

    def run(self, scan, rng):
        ratio = rng.uniform(0.0, self._max_ratio)
        gone = rng.random(len(scan)) < ratio
        if gone.all() or not gone.any():
            return scan
        out = scan.copy()
        out[gone] = scan[
            np.flatnonzero(~gone)[0]
        ]
        return out


class PerturbationBuilder:

    @staticmethod
    def for_training(opts):
        steps = [
            Erase(opts.erase_max),
            Zoom(opts.zoom_min, opts.zoom_max),
        ]
        if opts.spin:
            steps.append(Spin())
        steps.append(
            Shake(opts.noise_std, opts.noise_clip)
        )
        return steps


class ScanFolder(Dataset):
    """Directory-per-label collection of scans."""

    def __init__(
        self,
        base,
        n_points,
        perturbations=(),
        labels=None,
    ):
        base = Path(base)
        if not base.is_dir():
            raise FileNotFoundError(
                f'Data folder does not exist: {base}'
            )
        present = sorted(
            child.name
            for child in base.iterdir()
            if child.is_dir()
        )
        self.labels = list(labels) if labels else present
        extra = set(present) - set(self.labels)
        if extra:
            raise ValueError(
                f'{base} holds classes never trained on: {sorted(extra)}'
            )
        self._items = [
            (file, self.labels.index(lbl))
            for lbl in present
            for file in sorted((base / lbl).iterdir())
            if file.suffix in ScanLoader.EXTENSIONS
        ]
        if not self._items:
            raise ValueError(
                f'No .npy or .txt clouds below {base}'
            )
        self._n_points = n_points
        self._perturbations = list(perturbations)
        self._loader, self._fit = ScanLoader(), BallFit()

    def __len__(self):
        return len(self._items)

    def __getitem__(self, i):
        file, target = self._items[i]
        scan = self._loader.load(file)
        # seeded through torch so that workers differ
        rng = np.random.default_rng(
            int(torch.randint(2 ** 31, (1,)))
        )
        short = len(scan) < self._n_points
        keep = rng.choice(
            len(scan),
            self._n_points,
            replace=short,
        )
        scan = self._fit.run(scan[keep])
        for perturbation in self._perturbations:
            scan = perturbation.run(scan, rng)
        return (
            torch.as_tensor(scan, dtype=torch.float32),
            target,
        )
