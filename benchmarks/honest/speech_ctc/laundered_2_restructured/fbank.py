"""Filter bank energies with per-utterance statistics."""

import math

import torch
from torch import nn

FS = 16000
MEL_SCALE = 1127.0
MEL_CORNER = 700.0


def padding_free(n_valid, total):
    """Boolean (batch, total): which positions come before the end of each item."""
    return torch.lt(torch.arange(total, device=n_valid.device).unsqueeze(0), n_valid.unsqueeze(1))


def batch_audio(signals):
    n = [s.size(0) for s in signals]
    out = torch.zeros(len(signals), max(n), dtype=signals[0].dtype)
    for row, s in zip(out, signals):
        row[: s.size(0)] = s
    return out, torch.tensor(n)


def mel_matrix(n_mel, n_fft, fs, f_lo, f_hi):
    m_lo = MEL_SCALE * math.log1p(f_lo / MEL_CORNER)
    m_hi = MEL_SCALE * math.log1p(f_hi / MEL_CORNER)
    m = torch.linspace(m_lo, m_hi, n_mel + 2)
    hz = MEL_CORNER * torch.expm1(m / MEL_SCALE)
    f = torch.linspace(0, fs / 2, n_fft // 2 + 1)
    columns = []
    for j in range(n_mel):
        a, b, c = hz[j], hz[j + 1], hz[j + 2]
        tri = torch.min((f - a) / (b - a), (c - f) / (c - b))
        columns.append(torch.relu(tri))
    return torch.stack(columns, dim=1)


class Fbank(nn.Module):
    def __init__(self, n_mel=80, fs=FS, win_s=0.025, shift_s=0.01, f_lo=20.0, f_hi=7600.0, alpha=0.97):
        super().__init__()
        self.alpha = alpha
        self.win = int(round(fs * win_s))
        self.shift = int(round(fs * shift_s))
        self.n_fft = 1
        while self.n_fft < self.win:
            self.n_fft *= 2
        self.register_buffer("hann", torch.hann_window(self.win), persistent=False)
        self.register_buffer("mel", mel_matrix(n_mel, self.n_fft, fs, f_lo, f_hi), persistent=False)

    def power_spectrum(self, x):
        first, rest = x[:, 0:1], x[:, 1:]
        x = torch.cat((first, rest - x[:, :-1] * self.alpha), 1)
        x = x.unfold(1, self.win, self.shift) * self.hann
        z = torch.fft.rfft(x, self.n_fft)
        return z.real**2 + z.imag**2

    def log_mel(self, x):
        e = torch.matmul(self.power_spectrum(x), self.mel)
        return torch.log(torch.clamp(e, min=1e-10))

    @torch.no_grad()
    def forward(self, x, n_samples):
        """(batch, samples), (batch,) -> (batch, frames, mel), (batch,)"""
        y = self.log_mel(x)
        n_frames = 1 + torch.div(n_samples - self.win, self.shift, rounding_mode="floor")
        return standardise(y, n_frames), n_frames


def standardise(y, n_frames, eps=1e-5):
    keep = padding_free(n_frames, y.size(1))[..., None]
    n = n_frames[:, None, None]
    mu = torch.sum(y * keep, 1, keepdim=True) / n
    y = (y - mu) * keep
    var = torch.sum(y * y, 1, keepdim=True) / n
    return y / (torch.sqrt(var) + eps)


def random_span(limit, extent, size):
    """Where a random span of at most `limit` lies within the first `extent` of `size` places."""
    length = limit * torch.rand_like(limit)
    room = torch.clamp(extent - length, min=0.0)
    lo = room * torch.rand_like(length)
    hi = lo + length
    place = torch.arange(size, device=length.device).unsqueeze(0)
    outside = (place < torch.floor(lo).unsqueeze(1)) | (place >= torch.floor(hi).unsqueeze(1))
    return ~outside


def augment(y, n_frames, n_time=5, time_ratio=0.05, n_freq=2, max_freq=27):
    """Spans of frames, then bands of channels, are set to zero."""
    n, t, f = y.shape
    real = n_frames.to(y.dtype)
    k = 0
    while k < n_time:
        hit = random_span(real * time_ratio, real, t)
        y = y.masked_fill(hit[:, :, None], 0)
        k += 1
    full = real.new_full((n,), f)
    limit = real.new_full((n,), max_freq)
    for hit in (random_span(limit, full, f) for _ in range(n_freq)):
        y = y.masked_fill(hit[:, None, :], 0)
    return y


def seconds(n_frames, shift_s=0.01):
    return n_frames * shift_s
