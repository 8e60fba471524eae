"""Reading audio, log-mel features, SpecAugment and the training dataset."""
import random
from pathlib import Path

import numpy as np
import soundfile as sf
import torch
import torch.nn as nn
from torch.utils.data import Dataset

SAMPLE_RATE = 16000
AUDIO_SUFFIXES = {".wav", ".flac"}


def read_audio(path):
    wave, rate = sf.read(str(path), dtype="float32", always_2d=True)
    if rate != SAMPLE_RATE:
        raise ValueError(f"{path}: expected {SAMPLE_RATE} Hz, found {rate} Hz")
    return wave.mean(axis=1)


def find_audio(root):
    return sorted(p for p in Path(root).rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES)


def fit_length(wave, length, rng=random):
    """Random crop of `length` samples; short recordings are repeated first."""
    if len(wave) == 0:
        return np.zeros(length, dtype=np.float32)
    if len(wave) < length:
        wave = np.tile(wave, -(-length // len(wave)))
    start = rng.randint(0, len(wave) - length)
    return wave[start:start + length]


def mel_matrix(n_mels, n_fft, low=20.0, high=7600.0):
    """Triangular filters of shape (n_mels, n_fft // 2 + 1)."""
    def to_mel(hz):
        return 2595.0 * np.log10(1.0 + hz / 700.0)

    edges_mel = np.linspace(to_mel(low), to_mel(high), n_mels + 2)
    bins_mel = to_mel(np.linspace(0, SAMPLE_RATE / 2, n_fft // 2 + 1))
    left, centre, right = (edges_mel[i:i + n_mels, None] for i in range(3))
    rising = (bins_mel - left) / (centre - left)
    falling = (right - bins_mel) / (right - centre)
    return torch.from_numpy(np.maximum(0, np.minimum(rising, falling))).float()


class LogMel(nn.Module):
    def __init__(self, n_mels=80, n_fft=512, win=400, hop=160, preemphasis=0.97):
        super().__init__()
        self.n_fft, self.win, self.hop, self.preemphasis = n_fft, win, hop, preemphasis
        self.register_buffer("window", torch.hamming_window(win), persistent=False)
        self.register_buffer("mel", mel_matrix(n_mels, n_fft), persistent=False)

    @torch.no_grad()
    def forward(self, wave):
        wave = torch.cat([wave[:, :1], wave[:, 1:] - self.preemphasis * wave[:, :-1]], dim=1)
        spec = torch.stft(wave, self.n_fft, self.hop, self.win, self.window, return_complex=True)
        feats = (self.mel @ spec.abs().pow(2) + 1e-6).log()
        return feats - feats.mean(dim=2, keepdim=True)


class SpecAugment(nn.Module):
    """Blank out a random time span and frequency band of every example (training only)."""

    def __init__(self, max_time=10, max_freq=8):
        super().__init__()
        self.max_time, self.max_freq = max_time, max_freq

    @staticmethod
    def _span(batch, size, longest, device):
        width = torch.randint(0, min(longest, size) + 1, (batch, 1), device=device)
        start = (torch.rand(batch, 1, device=device) * (size - width + 1)).long()
        position = torch.arange(size, device=device)
        return (position >= start) & (position < start + width)

    def forward(self, feats):
        if not self.training:
            return feats
        batch, mels, frames = feats.shape
        in_time = self._span(batch, frames, self.max_time, feats.device)
        in_freq = self._span(batch, mels, self.max_freq, feats.device)
        return feats.masked_fill(in_time[:, None, :] | in_freq[:, :, None], 0.0)


class SpeakerFolders(Dataset):
    """root/<speaker>/**/*.wav, one label per top-level folder."""

    def __init__(self, root, seconds=2.0, noise_dir=None, noise_prob=0.6, snr=(0.0, 15.0)):
        self.speakers = sorted(d.name for d in Path(root).iterdir() if d.is_dir())
        self.items = [(path, label) for label, name in enumerate(self.speakers)
                      for path in find_audio(Path(root) / name)]
        if not self.items:
            raise FileNotFoundError(f"no audio files below {root}")
        self.length = int(seconds * SAMPLE_RATE)
        self.noises = find_audio(noise_dir) if noise_dir else []
        self.noise_prob, self.snr = noise_prob, snr

    def __len__(self):
        return len(self.items)

    def add_noise(self, wave):
        if self.noises:
            noise = fit_length(read_audio(random.choice(self.noises)), self.length)
        else:
            noise = torch.randn(self.length).numpy()
        power = np.mean(wave ** 2) + 1e-10
        noise_power = np.mean(noise ** 2) + 1e-10
        wanted = power / 10 ** (random.uniform(*self.snr) / 10)
        return wave + noise * np.sqrt(wanted / noise_power)

    def __getitem__(self, index):
        path, label = self.items[index]
        wave = fit_length(read_audio(path), self.length)
        if random.random() < self.noise_prob:
            wave = self.add_noise(wave)
        return torch.from_numpy(np.ascontiguousarray(wave, dtype=np.float32)), label
