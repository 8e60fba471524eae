# The acoustic network.
from __future__ import annotations

from dataclasses import dataclass, field

from frontend import BandEnergies, FrontendOpts, MaskingOpts, RandomMasking, real_frames
from torch import nn, Tensor
import torch
import torch.nn.functional as fn


@dataclass(frozen=True)
class NetOpts:
    n_symbols: int = 32
    width: int = 256
    n_heads: int = 4
    depth: int = 12
    expansion: int = 4
    conv_span: int = 31
    drop: float = 0.1
    reach: int = 128
    null_id: int = 0
    frontend: FrontendOpts = field(default_factory=FrontendOpts)
    masking: MaskingOpts = field(default_factory=MaskingOpts)


class Stem(nn.Module):
    """Reduces the frame rate by four."""

    def __init__(self, *, n_bands: int, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([
            nn.Conv2d(padding=1, stride=2, kernel_size=3, out_channels=width, in_channels=1),
            nn.Conv2d(padding=1, stride=2, kernel_size=3, out_channels=width, in_channels=width),
        ])
        bands_left = (n_bands + 3) // 4
        self.flatten = nn.Linear(width * bands_left, width)

    def forward(self, h: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
        h = h.unsqueeze(1)
        for layer in self.layers:
            h = fn.relu(layer(h))
            sizes = (sizes + 1) // 2
            # keep padding silent
            h = h * real_frames(sizes, limit=h.shape[2])[:, None, :, None]
        n, c, t, m = h.shape
        h = h.permute(0, 2, 1, 3).reshape(n, t, c * m)
        return self.flatten(h), sizes


class Mlp(nn.Sequential):
    def __init__(self, opts: NetOpts) -> None:
        inner = opts.width * opts.expansion
        super().__init__(
            nn.LayerNorm(opts.width),
            nn.Linear(opts.width, inner),
            nn.SiLU(),
            nn.Dropout(opts.drop),
            nn.Linear(inner, opts.width),
            nn.Dropout(opts.drop),
        )


class DistanceAttention(nn.Module):
    """Frames attend to frames by content and by how far apart they are."""

    def __init__(self, opts: NetOpts) -> None:
        super().__init__()
        self.n_heads = opts.n_heads
        self.per_head = opts.width // opts.n_heads
        self.reach = opts.reach
        self.ln = nn.LayerNorm(opts.width)
        self.triple = nn.Linear(opts.width, 3 * opts.width)
        self.gap = nn.Embedding(2 * opts.reach + 1, self.per_head)
        self.gap_shift = nn.Parameter(torch.zeros(opts.n_heads, 1, self.per_head))
        self.final = nn.Linear(opts.width, opts.width)
        self.drop = nn.Dropout(opts.drop)

    def gap_logits(self, ask: Tensor) -> Tensor:
        n, g, t, _ = ask.shape
        by_gap = (ask + self.gap_shift) @ self.gap.weight.t()
        ticks = torch.arange(t, device=ask.device)
        gaps = ticks[None, :] - ticks[:, None]
        lookup = gaps.clamp(max=self.reach, min=-self.reach) + self.reach
        return by_gap.gather(index=lookup.expand(n, g, t, t), dim=-1)

    def forward(self, h: Tensor, real: Tensor) -> Tensor:
        n, t, w = h.shape
        triple = self.triple(self.ln(h)).reshape(n, t, 3, self.n_heads, self.per_head)
        ask, tag, content = triple.permute(2, 0, 3, 1, 4).unbind(dim=0)
        logits = (ask @ tag.transpose(-2, -1) + self.gap_logits(ask)) * self.per_head**-0.5
        logits = logits.masked_fill(~real[:, None, None, :], torch.finfo(logits.dtype).min)
        probs = self.drop(logits.softmax(dim=-1))
        read = (probs @ content).transpose(1, 2).reshape(n, t, w)
        return self.drop(self.final(read))


class LocalMixer(nn.Module):
    """Convolution over neighbouring frames."""

    def __init__(self, opts: NetOpts) -> None:
        super().__init__()
        w = opts.width
        self.ln = nn.LayerNorm(w)
        self.valve = nn.Linear(w, 2 * w)
        self.per_channel = nn.Conv1d(
            w, w, groups=w, padding=opts.conv_span // 2, kernel_size=opts.conv_span
        )
        self.ln_mid = nn.LayerNorm(w)
        self.final = nn.Linear(w, w)
        self.drop = nn.Dropout(opts.drop)

    def forward(self, h: Tensor, real: Tensor) -> Tensor:
        h = fn.glu(self.valve(self.ln(h)), dim=-1)
        h = h * real.unsqueeze(-1)
        h = self.per_channel(h.transpose(1, 2)).transpose(1, 2)
        return self.drop(self.final(fn.silu(self.ln_mid(h))))


class Layer(nn.Module):
    def __init__(self, opts: NetOpts) -> None:
        super().__init__()
        self.mlp_a = Mlp(opts)
        self.far = DistanceAttention(opts)
        self.near = LocalMixer(opts)
        self.mlp_b = Mlp(opts)
        self.ln = nn.LayerNorm(opts.width)

    def forward(self, h: Tensor, real: Tensor) -> Tensor:
        h = h + 0.5 * self.mlp_a(h)
        h = h + self.far(h, real)
        h = h + self.near(h, real)
        h = h + 0.5 * self.mlp_b(h)
        return self.ln(h)


class UtteranceTagger(nn.Module):
    """Audio to symbol scores."""

    def __init__(self, opts: NetOpts) -> None:
        super().__init__()
        self.opts = opts
        self.energies = BandEnergies(opts.frontend)
        self.masking = RandomMasking(opts.masking)
        self.stem = Stem(width=opts.width, n_bands=opts.frontend.n_bands)
        self.layers = nn.ModuleList([Layer(opts) for _ in range(opts.depth)])
        self.scores = nn.Linear(opts.width, opts.n_symbols)

    def forward(self, audio: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            h, sizes = self.energies(audio, sizes)
            h = self.masking(h, sizes)
        h, sizes = self.stem(h, sizes)
        real = real_frames(sizes, limit=h.shape[1])
        for layer in self.layers:
            h = layer(h, real)
        return self.scores(h).log_softmax(dim=-1), sizes

    def criterion(self, audio: Tensor, sizes: Tensor, labels: list[Tensor]) -> Tensor:
        scores, out_sizes = self(audio, sizes)
        return fn.ctc_loss(
            zero_infinity=True,
            blank=self.opts.null_id,
            target_lengths=torch.tensor([len(label) for label in labels], device=audio.device),
            input_lengths=out_sizes,
            targets=torch.cat(labels),
            log_probs=scores.transpose(0, 1),
        )
