"""Everything that touches sound files on disk."""
import os
import random

import numpy as np
import soundfile

RATE_HZ = 16000


def is_sound(name):
    _, extension = os.path.splitext(name)
    return extension.lower() in (".wav", ".flac")


def scan(directory):
    """Sorted paths of all sounds at any depth."""
    hits = []
    for here, _, names in os.walk(directory):
        hits.extend(os.path.join(here, name) for name in names if is_sound(name))
    hits.sort(key=lambda path: path.split(os.sep))
    return hits


def decode(path):
    samples, rate_hz = soundfile.read(os.fspath(path), always_2d=True, dtype="float32")
    if rate_hz == RATE_HZ:
        return np.mean(samples, axis=1)
    raise ValueError(f"{path} is sampled at {rate_hz} Hz instead of {RATE_HZ} Hz")


def excerpt(size, samples, rng=random):
    available = samples.shape[0]
    if available == 0:
        return np.zeros((size,), dtype="float32")
    if available < size:
        copies = (size + available - 1) // available
        samples = np.concatenate([samples] * copies)
    begin = rng.randint(0, samples.shape[0] - size)
    end = begin + size
    return samples[begin:end]


def load_excerpt(size, path):
    return excerpt(size, decode(path))
