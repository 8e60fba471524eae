"""Waveforms -> normalised log-mel frames, and SpecAugment on them."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

FEATS = {"rate": 16000, "win": 400, "hop": 160, "fft": 512, "mels": 80, "fmin": 20.0, "fmax": 7600.0}
AUG = {"f_masks": 2, "f_width": 27, "t_masks": 5, "t_frac": 0.05}


def to_mel(hz: Tensor) -> Tensor:
    """Hertz -> mel (O'Shaughnessy)."""
    return 2595 * torch.log10(1 + hz / 700)


@lru_cache
def filters(rate: int, fft: int, mels: int, fmin: float, fmax: float) -> Tensor:
    """Triangles evenly spaced, and straight, on the mel axis: (fft/2+1, mels)."""
    lo, hi = to_mel(torch.tensor([fmin, fmax], dtype=torch.float64))
    step = (hi - lo) / (mels + 1)
    mid = lo + step * torch.arange(1, mels + 1)
    bins = to_mel(torch.linspace(0, rate / 2, fft // 2 + 1, dtype=torch.float64))
    return (1 - (bins[:, None] - mid).abs() / step).relu().float()


def logmel(wav: Tensor, cfg: dict = FEATS) -> Tensor:
    """(N,) or (B, N) in [-1, 1] -> (..., T, mels)."""
    x = torch.cat([wav[..., :1], wav[..., 1:] - 0.97 * wav[..., :-1]], -1)
    x = F.pad(x, (0, max(0, cfg["win"] - x.shape[-1]))).unfold(-1, cfg["win"], cfg["hop"])
    x = (x - x.mean(-1, keepdim=True)) * torch.hann_window(cfg["win"], periodic=False, device=x.device)
    power = torch.fft.rfft(x, cfg["fft"]).abs().square()
    fb = filters(cfg["rate"], cfg["fft"], cfg["mels"], cfg["fmin"], cfg["fmax"])
    return (power @ fb.to(x.device)).clamp(min=1e-8).log()


def standardize(x: Tensor) -> Tensor:
    """Zero mean, unit deviation per mel band over the utterance, (T, M)."""
    return (x - x.mean(0)) / (x.std(0, correction=0) + 1e-4)


def spans(n: int, count: int, width: int) -> Tensor:
    """Union of `count` random spans of at most `width` on a line of n: (n,) bool."""
    w = torch.randint(0, min(width, n) + 1, (count, 1))
    s = (torch.rand(count, 1) * (n - w + 1)).long()
    i = torch.arange(n)
    return ((i >= s) & (i < s + w)).any(0)


def specaug(x: Tensor, cfg: dict = AUG) -> Tensor:
    """Blank out bands and stretches of (T, M); 0 is the mean after standardize."""
    t, m = x.shape
    f = spans(m, cfg["f_masks"], cfg["f_width"])
    s = spans(t, cfg["t_masks"], max(1, int(cfg["t_frac"] * t)))
    return x.masked_fill((f[None] | s[:, None]).to(x.device), 0.0)
