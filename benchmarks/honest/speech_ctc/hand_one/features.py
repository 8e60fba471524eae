"""Waveform -> log-mel spectrogram, and SpecAugment on top of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class FeatureConfig:
    """Framing and filter bank; times in seconds, frequencies in hertz."""

    sample_rate: int = 16_000
    window: float = 0.025
    hop: float = 0.010
    num_mels: int = 80
    low_freq: float = 20.0
    high_freq: float = 7_600.0
    preemphasis: float = 0.97

    @property
    def window_length(self) -> int:
        """Window in samples."""
        return round(self.window * self.sample_rate)

    @property
    def hop_length(self) -> int:
        """Hop in samples."""
        return round(self.hop * self.sample_rate)

    @property
    def fft_size(self) -> int:
        """Smallest power of two that holds a window."""
        return 1 << (self.window_length - 1).bit_length()


@dataclass(frozen=True)
class SpecAugmentConfig:
    """Number and largest width of the masks."""

    freq_masks: int = 2
    freq_width: int = 27
    time_masks: int = 5
    time_fraction: float = 0.05  # of the utterance's own length


def hz_to_mel(freq: Tensor) -> Tensor:
    """Hertz -> mel."""
    return 1127.0 * torch.log1p(freq / 700.0)


def mel_to_hz(mel: Tensor) -> Tensor:
    """Mel -> hertz."""
    return 700.0 * torch.expm1(mel / 1127.0)


def triangular_filters(config: FeatureConfig) -> Tensor:
    """Filter bank (fft_size / 2 + 1, num_mels) of triangles equally spaced in mel."""
    limits = hz_to_mel(torch.tensor([config.low_freq, config.high_freq]))
    knots = mel_to_hz(torch.linspace(float(limits[0]), float(limits[1]), config.num_mels + 2))  # (M + 2,)
    left, centre, right = knots[:-2], knots[1:-1], knots[2:]  # (M,) each
    bins = torch.linspace(0.0, config.sample_rate / 2, config.fft_size // 2 + 1)[:, None]  # (F, 1)
    rising = (bins - left) / (centre - left)  # (F, M)
    falling = (right - bins) / (right - centre)  # (F, M)
    return torch.minimum(rising, falling).clamp(min=0.0)


class LogMel(nn.Module):
    """Log-mel features, normalised per utterance and channel."""

    window: Tensor
    filters: Tensor

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("window", torch.hann_window(config.window_length), persistent=False)
        self.register_buffer("filters", triangular_filters(config), persistent=False)

    def num_frames(self, samples: Tensor) -> Tensor:
        """Frames that fit into so many samples, without padding."""
        return (samples - self.config.window_length).div(self.config.hop_length, rounding_mode="floor") + 1

    def forward(self, wave: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """wave (B, N), lengths (B,) in samples -> features (B, T, M), lengths (B,) in frames."""
        cfg = self.config
        wave = torch.cat([wave[:, :1], wave[:, 1:] - cfg.preemphasis * wave[:, :-1]], dim=1)
        frames = wave.unfold(dimension=1, size=cfg.window_length, step=cfg.hop_length)  # (B, T, W)
        spectrum = torch.fft.rfft(frames * self.window, n=cfg.fft_size, dim=-1)  # (B, T, F)
        power = spectrum.real.square() + spectrum.imag.square()
        mel = (power @ self.filters).clamp(min=1e-10).log()  # (B, T, M)

        frame_lengths = self.num_frames(lengths)
        valid = length_mask(frame_lengths, max_length=mel.shape[1]).unsqueeze(-1)  # (B, T, 1)
        count = frame_lengths.view(-1, 1, 1)
        mean = (mel * valid).sum(dim=1, keepdim=True) / count  # (B, 1, M)
        centred = (mel - mean) * valid
        std = (centred.square().sum(dim=1, keepdim=True) / count).sqrt()
        return centred / (std + 1e-5), frame_lengths


class SpecAugment(nn.Module):
    """Zero random bands of channels and spans of frames, in training only."""

    def __init__(self, config: SpecAugmentConfig) -> None:
        super().__init__()
        self.config = config

    @staticmethod
    def draw_mask(*, max_width: Tensor, extent: Tensor, size: int) -> Tensor:
        """One random span per item: max_width and extent (B,) -> bool (B, size), True where masked."""
        width = torch.rand_like(max_width) * max_width  # (B,)
        start = torch.rand_like(width) * (extent - width).clamp(min=0.0)
        index = torch.arange(size, device=width.device)[None, :]  # (1, size)
        return (index >= start.floor()[:, None]) & (index < (start + width).floor()[:, None])

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """features (B, T, M), lengths (B,) -> the same shape."""
        if not self.training:
            return features
        batch, time, mels = features.shape
        extent = lengths.to(features.dtype)
        for _ in range(self.config.time_masks):
            mask = self.draw_mask(max_width=extent * self.config.time_fraction, extent=extent, size=time)
            features = features.masked_fill(mask.unsqueeze(-1), 0.0)
        channels = torch.full((batch,), float(mels), device=features.device)
        widest = torch.full_like(channels, float(self.config.freq_width))
        for _ in range(self.config.freq_masks):
            mask = self.draw_mask(max_width=widest, extent=channels, size=mels)
            features = features.masked_fill(mask.unsqueeze(1), 0.0)
        return features


def length_mask(lengths: Tensor, *, max_length: int) -> Tensor:
    """(B,) -> (B, max_length), True on real frames."""
    return torch.arange(max_length, device=lengths.device)[None, :] < lengths[:, None]


def pad_waves(waves: list[Tensor]) -> tuple[Tensor, Tensor]:
    """A list of (N_i,) -> (B, max N), (B,)."""
    lengths = torch.tensor([wave.shape[0] for wave in waves])
    longest = int(lengths.max())
    return torch.stack([F.pad(wave, (0, longest - wave.shape[0])) for wave in waves]), lengths
