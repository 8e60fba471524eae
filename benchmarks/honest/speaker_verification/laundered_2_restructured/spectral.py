"""From samples to normalised log-mel maps, plus the masking used in training."""
import numpy as np
import torch
from torch import nn

from files import RATE_HZ


def mel_scale(freq_hz):
    return np.log10(freq_hz / 700.0 + 1.0) * 2595.0


def triangles(fft_points, mel_bins, upper=7600.0, lower=20.0):
    """Weights of every fft bin in every mel bin, one row per mel bin."""
    positions = mel_scale(np.linspace(0, RATE_HZ / 2, num=fft_points // 2 + 1))
    knots = np.linspace(mel_scale(lower), mel_scale(upper), num=mel_bins + 2)
    rows = []
    for start, peak, stop in zip(knots[:-2], knots[1:-1], knots[2:]):
        down = (stop - positions) / (stop - peak)
        up = (positions - start) / (peak - start)
        rows.append(np.minimum(up, down).clip(min=0))
    return torch.tensor(np.stack(rows), dtype=torch.float32)


def emphasise(samples, factor):
    output = samples.clone()
    output[:, 1:] -= factor * samples[:, :-1]
    return output


class MelFrontend(nn.Module):
    def __init__(self, window_size=400, step=160, fft_points=512, mel_bins=80, factor=0.97):
        super().__init__()
        self.factor = factor
        self.stft_options = dict(n_fft=fft_points, hop_length=step, win_length=window_size)
        self.register_buffer("triangles", triangles(fft_points, mel_bins), persistent=False)
        self.register_buffer("hamming", torch.hamming_window(window_size), persistent=False)

    def power(self, samples):
        complex_map = torch.stft(emphasise(samples, self.factor), window=self.hamming,
                                 return_complex=True, **self.stft_options)
        return complex_map.abs().square()

    def forward(self, samples):
        with torch.no_grad():
            mels = torch.matmul(self.triangles, self.power(samples))
            logs = torch.log(mels + 1e-6)
            return logs.sub(logs.mean(dim=-1, keepdim=True))


def random_stretch(limit, like, axis):
    """Boolean (batch, size of axis) that is true on one random stretch per row."""
    rows, size = like.size(0), like.size(axis)
    options = {"device": like.device}
    extent = torch.randint(high=min(limit, size) + 1, size=(rows, 1), **options)
    first = (torch.rand(rows, 1, **options) * (size + 1 - extent)).long()
    index = torch.arange(size, **options).unsqueeze(0)
    return torch.logical_and(index >= first, index < first + extent)


class MaskOut(nn.Module):
    def __init__(self, freq_limit=8, time_limit=10):
        super().__init__()
        self.freq_limit = freq_limit
        self.time_limit = time_limit

    def forward(self, maps):
        if self.training:
            frames = random_stretch(self.time_limit, maps, axis=2).unsqueeze(1)
            bins = random_stretch(self.freq_limit, maps, axis=1).unsqueeze(2)
            maps = maps.masked_fill(torch.logical_or(frames, bins), 0.0)
        return maps
