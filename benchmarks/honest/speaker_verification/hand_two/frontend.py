"""Waveform -> normalised log-mel features, plus SpecAugment masking."""
import math

import torch
from torch import nn


def mel_matrix(n_fft, n_mels, sample_rate, f_lo=20.0, f_hi=None):
    """Triangular mel filters of shape (n_fft // 2 + 1, n_mels)."""
    f_hi = f_hi or sample_rate / 2

    def to_mel(f):
        return 2595.0 * math.log10(1.0 + f / 700.0)

    points = torch.linspace(to_mel(f_lo), to_mel(f_hi), n_mels + 2)
    hz = 700.0 * (10.0 ** (points / 2595.0) - 1.0)
    freqs = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1).unsqueeze(1)
    left, centre, right = hz[:-2], hz[1:-1], hz[2:]
    rising = (freqs - left) / (centre - left)
    falling = (right - freqs) / (right - centre)
    return torch.minimum(rising, falling).clamp(min=0.0)


class LogMel(nn.Module):
    """(batch, samples) -> (batch, n_mels, frames), each band zero-mean over the utterance."""

    def __init__(self, sample_rate=16000, n_fft=512, win_ms=25, hop_ms=10, n_mels=80, preemph=0.97):
        super().__init__()
        self.n_fft = n_fft
        self.win = sample_rate * win_ms // 1000
        self.hop = sample_rate * hop_ms // 1000
        self.preemph = preemph
        self.register_buffer("window", torch.hamming_window(self.win), persistent=False)
        self.register_buffer("mel", mel_matrix(n_fft, n_mels, sample_rate), persistent=False)

    @torch.no_grad()
    def forward(self, wav):
        wav = torch.cat([wav[:, :1], wav[:, 1:] - self.preemph * wav[:, :-1]], dim=1)
        spec = torch.stft(wav, self.n_fft, self.hop, self.win, self.window, return_complex=True)
        power = spec.abs().pow(2)
        logmel = torch.log(power.transpose(1, 2) @ self.mel + 1e-6).transpose(1, 2)
        return logmel - logmel.mean(dim=2, keepdim=True)


class SpecAugment(nn.Module):
    """Zeroes random frequency and time stripes, drawn separately for each example."""

    def __init__(self, max_freq=8, max_time=10, n_freq=1, n_time=1):
        super().__init__()
        self.plan = [(1, max_freq)] * n_freq + [(2, max_time)] * n_time

    def forward(self, x):
        if not self.training:
            return x
        for dim, widest in self.plan:
            size = x.shape[dim]
            width = torch.randint(0, widest + 1, (x.shape[0], 1), device=x.device)
            start = (torch.rand(x.shape[0], 1, device=x.device) * (size - width).clamp(min=1)).long()
            pos = torch.arange(size, device=x.device).unsqueeze(0)
            hidden = (pos >= start) & (pos < start + width)
            x = x.masked_fill(hidden.unsqueeze(2 if dim == 1 else 1), 0.0)
        return x
