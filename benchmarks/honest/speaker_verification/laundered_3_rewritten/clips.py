"""Clips on disk, and the stream of training examples made from them."""
import itertools
import math
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import List, Optional, Tuple

import numpy as np
import soundfile
import torch

HERTZ = 16000


def clip_paths(top) -> List[Path]:
    top = Path(top)
    matches = (top.rglob(f"*{ending}") for ending in (".[wW][aA][vV]", ".[fF][lL][aA][cC]"))
    return sorted(path for path in itertools.chain.from_iterable(matches) if path.suffix)


def mono(path) -> np.ndarray:
    with soundfile.SoundFile(str(path)) as handle:
        if handle.samplerate != HERTZ:
            raise ValueError(f"need {HERTZ} Hz audio, but {path} has {handle.samplerate} Hz")
        channels = handle.read(dtype="float32", always_2d=True).T
    return channels.sum(axis=0) / np.float32(len(channels))


def window_of(clip: np.ndarray, wanted: int, source=random) -> np.ndarray:
    """A window of exactly `wanted` samples at a random spot, wrapping around in short clips."""
    have = clip.size
    if not have:
        return np.zeros(wanted, np.float32)
    slack = have - wanted if have >= wanted else -wanted % have
    where = np.arange(wanted) + source.randrange(slack + 1)
    return clip.take(where, mode="wrap")


def loudness(clip: np.ndarray) -> float:
    return float(np.dot(clip, clip)) / clip.size + 1e-10


@dataclass
class PeopleClips(torch.utils.data.Dataset):
    """Every folder directly below `top` is a person; its number is its alphabetical rank."""

    top: str
    noise_top: Optional[str] = None
    clip_seconds: float = 2.0
    noisy_share: float = 0.6
    snr_db: Tuple[float, float] = (0.0, 15.0)
    people: List[str] = field(init=False)

    def __post_init__(self):
        by_person = {child.name: child for child in Path(self.top).iterdir() if child.is_dir()}
        self.people = sorted(by_person)
        self._owned = [clip_paths(by_person[person]) for person in self.people]
        # person k owns the positions from _ends[k - 1] up to _ends[k]
        self._ends = np.cumsum([len(paths) for paths in self._owned])
        if len(self) == 0:
            raise FileNotFoundError(f"{self.top}: nothing to train on")
        self._samples = int(HERTZ * self.clip_seconds)
        self._noise_pool = clip_paths(self.noise_top) if self.noise_top else None

    def __len__(self):
        return int(self._ends[-1]) if self._ends.size else 0

    def _locate(self, position):
        if not 0 <= position < len(self):
            raise IndexError(position)
        person = int(np.searchsorted(self._ends, position, side="right"))
        return person, self._owned[person][position - int(self._ends[person])]

    def _noise_for(self, speech):
        noise = (window_of(mono(random.choice(self._noise_pool)), self._samples)
                 if self._noise_pool
                 else torch.normal(0.0, 1.0, (self._samples,)).numpy())
        decibels = random.uniform(*self.snr_db)
        gap = math.log10(loudness(speech)) - math.log10(loudness(noise)) - decibels / 10
        return np.float32(10 ** (gap / 2)) * noise

    def __getitem__(self, position):
        person, path = self._locate(position)
        speech = window_of(mono(path), self._samples)
        if not random.random() >= self.noisy_share:
            speech = speech + self._noise_for(speech)
        return torch.as_tensor(speech, dtype=torch.float32), person
