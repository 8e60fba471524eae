# Acoustic front end: audio in, normalised filter-bank energies out.
from __future__ import annotations

from dataclasses import dataclass

from torch import nn, Tensor
import torch
import torch.nn.functional as fn


@dataclass(frozen=True)
class FrontendOpts:
    rate: int = 16_000
    win_sec: float = 0.025
    step_sec: float = 0.010
    n_bands: int = 80
    f_min: float = 20.0
    f_max: float = 7_600.0
    emphasis: float = 0.97

    @property
    def win_samples(self) -> int:
        return round(self.win_sec * self.rate)

    @property
    def step_samples(self) -> int:
        return round(self.step_sec * self.rate)

    @property
    def n_fft(self) -> int:
        # next power of two
        return 1 << (self.win_samples - 1).bit_length()


@dataclass(frozen=True)
class MaskingOpts:
    n_band_masks: int = 2
    band_span: int = 27
    n_frame_masks: int = 5
    frame_share: float = 0.05


def to_mel_scale(f: Tensor) -> Tensor:
    return 1127.0 * torch.log1p(f / 700.0)


def from_mel_scale(m: Tensor) -> Tensor:
    return 700.0 * torch.expm1(m / 1127.0)


def band_matrix(opts: FrontendOpts) -> Tensor:
    """The matrix that maps a power spectrum to bands."""
    ends = to_mel_scale(torch.tensor([opts.f_min, opts.f_max]))
    corners = from_mel_scale(
        torch.linspace(float(ends[0]), float(ends[1]), opts.n_bands + 2)
    )
    lo, mid, hi = corners[:-2], corners[1:-1], corners[2:]
    grid = torch.linspace(0.0, opts.rate / 2, opts.n_fft // 2 + 1)[:, None]
    up = (grid - lo) / (mid - lo)
    down = (hi - grid) / (hi - mid)
    return torch.minimum(up, down).clamp(min=0.0)


class BandEnergies(nn.Module):
    """Audio to energies, each band with zero mean and unit variance."""

    taper: Tensor
    bands: Tensor

    def __init__(self, opts: FrontendOpts) -> None:
        super().__init__()
        self.opts = opts
        self.register_buffer('taper', torch.hann_window(opts.win_samples), persistent=False)
        self.register_buffer('bands', band_matrix(opts), persistent=False)

    def frame_count(self, n_samples: Tensor) -> Tensor:
        return (n_samples - self.opts.win_samples).div(
            self.opts.step_samples, rounding_mode='floor'
        ) + 1

    def forward(self, audio: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
        o = self.opts
        audio = torch.cat([audio[:, :1], audio[:, 1:] - o.emphasis * audio[:, :-1]], dim=1)
        pieces = audio.unfold(step=o.step_samples, size=o.win_samples, dimension=1)
        fourier = torch.fft.rfft(pieces * self.taper, dim=-1, n=o.n_fft)
        energy = fourier.real.square() + fourier.imag.square()
        logs = (energy @ self.bands).clamp(min=1e-10).log()

        # statistics over real frames only
        n_frames = self.frame_count(sizes)
        real = real_frames(n_frames, limit=logs.shape[1]).unsqueeze(-1)
        total = n_frames.view(-1, 1, 1)
        mu = (logs * real).sum(keepdim=True, dim=1) / total
        shifted = (logs - mu) * real
        sigma = (shifted.square().sum(keepdim=True, dim=1) / total).sqrt()
        return shifted / (sigma + 1e-5), n_frames


class RandomMasking(nn.Module):
    def __init__(self, opts: MaskingOpts) -> None:
        super().__init__()
        self.opts = opts

    @staticmethod
    def sample_span(*, limit: Tensor, length: Tensor, n: int) -> Tensor:
        span = torch.rand_like(limit) * limit
        begin = torch.rand_like(span) * (length - span).clamp(min=0.0)
        pos = torch.arange(n, device=span.device)[None, :]
        return (pos >= begin.floor()[:, None]) & (pos < (begin + span).floor()[:, None])

    def forward(self, energies: Tensor, sizes: Tensor) -> Tensor:
        if not self.training:
            return energies
        n, n_frames, n_bands = energies.shape
        length = sizes.to(energies.dtype)
        for _ in range(self.opts.n_frame_masks):
            hide = self.sample_span(
                n=n_frames, length=length, limit=length * self.opts.frame_share
            )
            energies = energies.masked_fill(hide.unsqueeze(-1), 0.0)
        width = torch.full((n,), float(n_bands), device=energies.device)
        limit = torch.full_like(width, float(self.opts.band_span))
        for _ in range(self.opts.n_band_masks):
            hide = self.sample_span(n=n_bands, length=width, limit=limit)
            energies = energies.masked_fill(hide.unsqueeze(1), 0.0)
        return energies


def real_frames(sizes: Tensor, *, limit: int) -> Tensor:
    return torch.arange(limit, device=sizes.device)[None, :] < sizes[:, None]


def collate_audio(clips: list[Tensor]) -> tuple[Tensor, Tensor]:
    sizes = torch.tensor([clip.shape[0] for clip in clips])
    biggest = int(sizes.max())
    return torch.stack(
        [fn.pad(clip, (0, biggest - clip.shape[0])) for clip in clips]
    ), sizes
