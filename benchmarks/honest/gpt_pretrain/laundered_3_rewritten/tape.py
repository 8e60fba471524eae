"""Reads excerpts of a corpus of little-endian 16-bit numbers straight from the file descriptor."""
import os

import numpy as np
import torch

WORD = 2


def cut_at(handle, position, count):
    raw = os.pread(handle, WORD * count, WORD * position)
    return np.frombuffer(raw, dtype="<u2")


def excerpts(filename, reach, bundle, place):
    """A function of no arguments that gives a fresh (bundle, reach + 1) tensor at each call."""
    handle = os.open(filename, os.O_RDONLY)
    choices = os.fstat(handle).st_size // WORD - reach
    if choices < 1:
        os.close(handle)
        raise ValueError(f"{filename} is shorter than one excerpt of {reach + 1} symbols")

    def fresh():
        sheet = np.empty((bundle, reach + 1), dtype=np.int64)
        for line, position in zip(sheet, torch.randint(choices, (bundle,)).tolist()):
            line[:] = cut_at(handle, position, reach + 1)
        return torch.from_numpy(sheet).to(place)

    return fresh
