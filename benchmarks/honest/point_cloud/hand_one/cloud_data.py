"""Reading, normalising and augmenting labelled point clouds."""
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset


@dataclass(frozen=True)
class AugmentationSettings:
    rotate_about_vertical_axis: bool = True
    jitter_deviation: float = 0.01
    jitter_limit: float = 0.04
    smallest_scale: float = 0.8
    largest_scale: float = 1.2
    largest_dropout_share: float = 0.7


class CloudFileReader:
    """Reads the x, y, z columns of one cloud file."""

    SUPPORTED_SUFFIXES = (".npy", ".txt")

    def read(self, path):
        if path.suffix == ".npy":
            table = np.load(path)
        elif path.suffix == ".txt":
            table = self._read_text(path)
        else:
            raise ValueError(f"{path}: expected one of {self.SUPPORTED_SUFFIXES}")
        if table.ndim != 2 or table.shape[0] == 0 or table.shape[1] < 3:
            raise ValueError(f"{path}: need a non-empty table of 3+ columns, got shape {table.shape}")
        coordinates = table[:, :3].astype(np.float32)
        if not np.isfinite(coordinates).all():
            raise ValueError(f"{path}: contains coordinates that are not finite")
        return coordinates

    @staticmethod
    def _read_text(path):
        with open(path, encoding="utf-8") as handle:
            lines = [line.replace(",", " ") for line in handle]
        return np.loadtxt(lines, ndmin=2)


class UnitSphereNormaliser:
    def apply(self, cloud):
        centred = cloud - cloud.mean(axis=0)
        radius = np.linalg.norm(centred, axis=1).max()
        return centred if radius == 0 else centred / radius


class CloudTransformation(ABC):
    @abstractmethod
    def apply(self, cloud, generator):
        """Return a changed copy of an (N, 3) cloud."""


class VerticalRotation(CloudTransformation):
    def apply(self, cloud, generator):
        angle = generator.uniform(0.0, 2.0 * np.pi)
        c, s = np.cos(angle), np.sin(angle)
        return cloud @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]], dtype=np.float32)


class RandomScaling(CloudTransformation):
    def __init__(self, smallest, largest):
        if not 0 < smallest <= largest:
            raise ValueError(f"Scale range [{smallest}, {largest}] is not valid")
        self._smallest, self._largest = smallest, largest

    def apply(self, cloud, generator):
        return cloud * generator.uniform(self._smallest, self._largest)


class GaussianJitter(CloudTransformation):
    def __init__(self, deviation, limit):
        self._deviation, self._limit = deviation, limit

    def apply(self, cloud, generator):
        noise = generator.normal(0.0, self._deviation, cloud.shape)
        return cloud + noise.clip(-self._limit, self._limit)


class RandomPointDropout(CloudTransformation):
    """Collapses dropped points onto one survivor so that the size stays fixed."""

    def __init__(self, largest_share):
        self._largest_share = largest_share

    def apply(self, cloud, generator):
        share = generator.uniform(0.0, self._largest_share)
        dropped = generator.random(len(cloud)) < share
        if dropped.all() or not dropped.any():
            return cloud
        thinned = cloud.copy()
        thinned[dropped] = cloud[np.flatnonzero(~dropped)[0]]
        return thinned


class TransformationFactory:
    @staticmethod
    def create_training_chain(settings):
        chain = [RandomPointDropout(settings.largest_dropout_share),
                 RandomScaling(settings.smallest_scale, settings.largest_scale)]
        if settings.rotate_about_vertical_axis:
            chain.append(VerticalRotation())
        chain.append(GaussianJitter(settings.jitter_deviation, settings.jitter_limit))
        return chain


class LabelledCloudDataset(Dataset):
    """Every sub-folder of the root is a class; every file in it is an example."""

    def __init__(self, root, points_per_cloud, transformations=(), class_names=None):
        root = Path(root)
        if not root.is_dir():
            raise FileNotFoundError(f"Data folder does not exist: {root}")
        found = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
        self.class_names = list(class_names) if class_names else found
        unknown = set(found) - set(self.class_names)
        if unknown:
            raise ValueError(f"{root} holds classes never trained on: {sorted(unknown)}")
        self._entries = [(path, self.class_names.index(name)) for name in found
                         for path in sorted((root / name).iterdir())
                         if path.suffix in CloudFileReader.SUPPORTED_SUFFIXES]
        if not self._entries:
            raise ValueError(f"No .npy or .txt clouds below {root}")
        self._points_per_cloud = points_per_cloud
        self._transformations = list(transformations)
        self._reader, self._normaliser = CloudFileReader(), UnitSphereNormaliser()

    def __len__(self):
        return len(self._entries)

    def __getitem__(self, position):
        path, label = self._entries[position]
        cloud = self._reader.read(path)
        generator = np.random.default_rng(int(torch.randint(2 ** 31, (1,))))
        too_few = len(cloud) < self._points_per_cloud
        chosen = generator.choice(len(cloud), self._points_per_cloud, replace=too_few)
        cloud = self._normaliser.apply(cloud[chosen])
        for transformation in self._transformations:
            cloud = transformation.apply(cloud, generator)
        return torch.as_tensor(cloud, dtype=torch.float32), label
