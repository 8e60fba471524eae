'''Sound file input, spectral front end, masking and the labelled utterance collection.'''

import random
from pathlib import Path

import numpy as np
import soundfile as sf
import torch
import torch.nn as nn
from torch.utils.data import Dataset


FS = 16000
EXTENSIONS = {'.wav', '.flac'}


def load_signal(filename):
    signal, fs = sf.read(
        str(filename),
        dtype='float32',
        always_2d=True,
    )
    if fs != FS:
        raise ValueError(f'{filename}: expected {FS} Hz, found {fs} Hz')
    return signal.mean(axis=1)


def list_sounds(folder):
    return sorted(
        entry
        for entry in Path(folder).rglob('*')
        if entry.suffix.lower() in EXTENSIONS
    )


def crop_or_loop(signal, n_samples, generator=random):
    '''Cut `n_samples` at a random place; a signal that is too small gets looped beforehand.'''
    if len(signal) == 0:
        return np.zeros(n_samples, dtype=np.float32)
    if len(signal) < n_samples:
        signal = np.tile(signal, -(-n_samples // len(signal)))
    offset = generator.randint(0, len(signal) - n_samples)
    return signal[offset : offset + n_samples]


def triangular_bank(bands, fft_size, f_min=20.0, f_max=7600.0):
    '''Build the (bands, fft_size // 2 + 1) filter bank.'''

    def hertz_to_mel(frequency):
        return 2595.0 * np.log10(1.0 + frequency / 700.0)

    corners = np.linspace(
        hertz_to_mel(f_min),
        hertz_to_mel(f_max),
        bands + 2,
    )
    grid = hertz_to_mel(
        np.linspace(0, FS / 2, fft_size // 2 + 1)
    )
    lo, mid, hi = (
        corners[k : k + bands, None]
        for k in range(3)
    )
    upward = (grid - lo) / (mid - lo)
    downward = (hi - grid) / (hi - mid)
    return torch.from_numpy(
        np.maximum(0, np.minimum(upward, downward))
    ).float()


class FilterbankFrontend(nn.Module):

    def __init__(
        self,
        bands=80,
        fft_size=512,
        frame_size=400,
        frame_shift=160,
        emphasis=0.97,
    ):
        super().__init__()
        self.fft_size, self.frame_size, self.frame_shift, self.emphasis = (
            fft_size,
            frame_size,
            frame_shift,
            emphasis,
        )
        self.register_buffer('taper', torch.hamming_window(frame_size), persistent=False)
        self.register_buffer('bank', triangular_bank(bands, fft_size), persistent=False)

    @torch.no_grad()
    def forward(self, signal):
        signal = torch.cat(
            [
                signal[:, :1],
                signal[:, 1:] - self.emphasis * signal[:, :-1],
            ],
            dim=1,
        )
        stft = torch.stft(
            signal,
            self.fft_size,
            self.frame_shift,
            self.frame_size,
            self.taper,
            return_complex=True,
        )
        logmels = (self.bank @ stft.abs().pow(2) + 1e-6).log()
        return logmels - logmels.mean(dim=2, keepdim=True)


class RandomMasking(nn.Module):
    '''While training, wipes one stretch of frames and one stretch of bands per utterance.'''

    def __init__(self, time_limit=10, band_limit=8):
        super().__init__()
        self.time_limit, self.band_limit = time_limit, band_limit

    @staticmethod
    def _stripe(count, extent, limit, where):
        size = torch.randint(
            0,
            min(limit, extent) + 1,
            (count, 1),
            device=where,
        )
        begin = (
            torch.rand(count, 1, device=where) * (extent - size + 1)
        ).long()
        ticks = torch.arange(extent, device=where)
        return (ticks >= begin) & (ticks < begin + size)

    def forward(self, logmels):
        if not self.training:
            return logmels
        count, bands, steps = logmels.shape
        time_mask = self._stripe(count, steps, self.time_limit, logmels.device)
        band_mask = self._stripe(count, bands, self.band_limit, logmels.device)
        return logmels.masked_fill(
            time_mask[:, None, :] | band_mask[:, :, None],
            0.0,
        )


class VoiceCollection(Dataset):
    '''One class for each directory directly inside the given one; sounds may be nested deeper.'''

    def __init__(
        self,
        folder,
        duration=2.0,
        background=None,
        background_rate=0.6,
        db_range=(0.0, 15.0),
    ):
        self.voices = sorted(
            sub.name
            for sub in Path(folder).iterdir()
            if sub.is_dir()
        )
        self.entries = [
            (filename, number)
            for number, voice in enumerate(self.voices)
            for filename in list_sounds(Path(folder) / voice)
        ]
        if not self.entries:
            raise FileNotFoundError(f'no audio files below {folder}')
        self.n_samples = int(duration * FS)
        self.backgrounds = list_sounds(background) if background else []
        self.background_rate, self.db_range = background_rate, db_range

    def __len__(self):
        return len(self.entries)

    def mix_background(self, signal):
        if self.backgrounds:
            disturbance = crop_or_loop(
                load_signal(random.choice(self.backgrounds)),
                self.n_samples,
            )
        else:
            disturbance = torch.randn(self.n_samples).numpy()
        energy = np.mean(signal ** 2) + 1e-10
        disturbance_energy = np.mean(disturbance ** 2) + 1e-10
        goal = energy / 10 ** (random.uniform(*self.db_range) / 10)
        return signal + disturbance * np.sqrt(goal / disturbance_energy)

    def __getitem__(self, position):
        filename, number = self.entries[position]
        signal = crop_or_loop(load_signal(filename), self.n_samples)
        if random.random() < self.background_rate:
            signal = self.mix_background(signal)
        return (
            torch.from_numpy(np.ascontiguousarray(signal, dtype=np.float32)),
            number,
        )
