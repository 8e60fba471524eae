"""Labelled training excerpts: the name of a folder is the name of its talker."""
import os
import random

import numpy as np
import torch
from torch.utils.data import Dataset

from files import RATE_HZ, load_excerpt, scan


def mean_power(samples):
    return np.mean(np.square(samples)) + 1e-10


def blend(clean, disturbance, decibels):
    """Add the disturbance at the asked signal-to-noise ratio."""
    target = mean_power(clean) / 10 ** (decibels / 10)
    gain = np.sqrt(target / mean_power(disturbance))
    return clean + gain * disturbance


class Disturber:
    """Now and then blends a recorded (or else a gaussian) noise into an excerpt."""

    def __init__(self, size, chance, decibels, directory=None):
        self.size = size
        self.chance = chance
        self.decibels = decibels
        self.recordings = []
        if directory:
            self.recordings = scan(directory)

    def draw(self):
        if not self.recordings:
            return torch.randn(self.size).numpy()
        return load_excerpt(self.size, random.choice(self.recordings))

    def __call__(self, clean):
        if random.random() >= self.chance:
            return clean
        disturbance = self.draw()
        return blend(clean, disturbance, random.uniform(*self.decibels))


class TalkerCorpus(Dataset):
    def __init__(self, root, noise_root=None, duration=2.0, decibels=(0.0, 15.0), chance=0.6):
        self.size = int(RATE_HZ * duration)
        self.disturb = Disturber(self.size, chance, decibels, noise_root)
        with os.scandir(root) as entries:
            self.talkers = sorted(entry.name for entry in entries if entry.is_dir())
        self.paths, self.targets = [], []
        for target, talker in enumerate(self.talkers):
            found = scan(os.path.join(root, talker))
            self.paths += found
            self.targets += [target] * len(found)
        if len(self.paths) == 0:
            raise FileNotFoundError(f"{root} holds no sounds")

    def __getitem__(self, i):
        samples = self.disturb(load_excerpt(self.size, self.paths[i]))
        return torch.tensor(samples, dtype=torch.float32), self.targets[i]

    def __len__(self):
        return len(self.paths)
