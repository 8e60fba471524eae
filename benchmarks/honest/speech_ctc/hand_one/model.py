"""Conformer-type encoder with relative positions and a CTC head."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from features import FeatureConfig, LogMel, SpecAugment, SpecAugmentConfig, length_mask
from torch import Tensor, nn


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the recogniser; token 0 is the blank."""

    vocab_size: int = 32
    dim: int = 256
    num_heads: int = 4
    num_layers: int = 12
    ff_mult: int = 4
    kernel_size: int = 31
    dropout: float = 0.1
    max_distance: int = 128  # relative distances beyond it share one embedding
    blank: int = 0
    features: FeatureConfig = field(default_factory=FeatureConfig)
    augment: SpecAugmentConfig = field(default_factory=SpecAugmentConfig)


class Subsampling(nn.Module):
    """Two strided convolutions: a quarter of the frames."""

    def __init__(self, *, num_mels: int, dim: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(in_channels=1, out_channels=dim, kernel_size=3, stride=2, padding=1),
                nn.Conv2d(in_channels=dim, out_channels=dim, kernel_size=3, stride=2, padding=1),
            ]
        )
        reduced = (num_mels + 3) // 4  # ceil twice by two
        self.proj = nn.Linear(dim * reduced, dim)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, M) -> (B, T / 4, D)."""
        x = x.unsqueeze(1)  # (B, 1, T, M)
        for conv in self.convs:
            x = F.relu(conv(x))
            lengths = (lengths + 1) // 2
            x = x * length_mask(lengths, max_length=x.shape[2])[:, None, :, None]
        batch, channels, time, mels = x.shape
        x = x.permute(0, 2, 1, 3).reshape(batch, time, channels * mels)
        return self.proj(x), lengths


class FeedForward(nn.Sequential):
    """Pre-normalised two-layer network."""

    def __init__(self, config: ModelConfig) -> None:
        hidden = config.dim * config.ff_mult
        super().__init__(
            nn.LayerNorm(config.dim),
            nn.Linear(config.dim, hidden),
            nn.SiLU(),
            nn.Dropout(config.dropout),
            nn.Linear(hidden, config.dim),
            nn.Dropout(config.dropout),
        )


class RelativeAttention(nn.Module):
    """Self-attention whose scores also depend on the clipped distance between query and key."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.head_dim = config.dim // config.num_heads
        self.max_distance = config.max_distance
        self.norm = nn.LayerNorm(config.dim)
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.distance = nn.Embedding(2 * config.max_distance + 1, self.head_dim)
        self.position_bias = nn.Parameter(torch.zeros(config.num_heads, 1, self.head_dim))
        self.out = nn.Linear(config.dim, config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def position_scores(self, q: Tensor) -> Tensor:
        """q (B, h, T, d) -> (B, h, T, T): each query against the embedding of each distance."""
        batch, heads, time, _ = q.shape
        table = (q + self.position_bias) @ self.distance.weight.t()  # (B, h, T, 2 * max + 1)
        steps = torch.arange(time, device=q.device)
        offset = steps[None, :] - steps[:, None]  # (T, T), key minus query
        index = offset.clamp(min=-self.max_distance, max=self.max_distance) + self.max_distance
        return table.gather(dim=-1, index=index.expand(batch, heads, time, time))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, T, D), mask (B, T) -> (B, T, D)."""
        batch, time, dim = x.shape
        qkv = self.qkv(self.norm(x)).reshape(batch, time, 3, self.num_heads, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(dim=0)  # (B, h, T, d) each
        scores = (q @ k.transpose(-2, -1) + self.position_scores(q)) * self.head_dim**-0.5
        scores = scores.masked_fill(~mask[:, None, None, :], torch.finfo(scores.dtype).min)
        weights = self.dropout(scores.softmax(dim=-1))
        mixed = (weights @ v).transpose(1, 2).reshape(batch, time, dim)
        return self.dropout(self.out(mixed))


class ConvModule(nn.Module):
    """Gated pointwise, depthwise and pointwise convolution."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim = config.dim
        self.norm = nn.LayerNorm(dim)
        self.gate = nn.Linear(dim, 2 * dim)
        self.depthwise = nn.Conv1d(
            dim, dim, kernel_size=config.kernel_size, padding=config.kernel_size // 2, groups=dim
        )
        self.inner_norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x = F.glu(self.gate(self.norm(x)), dim=-1)
        x = x * mask.unsqueeze(-1)  # padding must not leak into the convolution
        x = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        return self.dropout(self.out(F.silu(self.inner_norm(x))))


class ConformerBlock(nn.Module):
    """Half feed-forward, attention, convolution, half feed-forward."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.ff_in = FeedForward(config)
        self.attn = RelativeAttention(config)
        self.conv = ConvModule(config)
        self.ff_out = FeedForward(config)
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x = x + 0.5 * self.ff_in(x)
        x = x + self.attn(x, mask)
        x = x + self.conv(x, mask)
        x = x + 0.5 * self.ff_out(x)
        return self.norm(x)


class SpeechRecognizer(nn.Module):
    """Waveform -> log-probabilities of tokens per frame."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.features = LogMel(config.features)
        self.augment = SpecAugment(config.augment)
        self.subsampling = Subsampling(num_mels=config.features.num_mels, dim=config.dim)
        self.blocks = nn.ModuleList([ConformerBlock(config) for _ in range(config.num_layers)])
        self.head = nn.Linear(config.dim, config.vocab_size)

    def forward(self, wave: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """wave (B, N), lengths (B,) -> log-probabilities (B, T, V), lengths (B,)."""
        with torch.no_grad():
            x, lengths = self.features(wave, lengths)  # (B, T0, M)
            x = self.augment(x, lengths)
        x, lengths = self.subsampling(x, lengths)  # (B, T, D)
        mask = length_mask(lengths, max_length=x.shape[1])
        for block in self.blocks:
            x = block(x, mask)
        return self.head(x).log_softmax(dim=-1), lengths

    def loss(self, wave: Tensor, lengths: Tensor, targets: list[Tensor]) -> Tensor:
        """CTC loss per target token; targets is a list of (U_i,)."""
        log_probs, out_lengths = self(wave, lengths)
        return F.ctc_loss(
            log_probs=log_probs.transpose(0, 1),  # (T, B, V)
            targets=torch.cat(targets),
            input_lengths=out_lengths,
            target_lengths=torch.tensor([len(target) for target in targets], device=wave.device),
            blank=self.config.blank,
            zero_infinity=True,
        )
