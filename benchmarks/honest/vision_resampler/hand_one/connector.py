"""Patches -> embeddings with 2D positions -> a fixed number of visual tokens per view."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class ConnectorConfig:
    """Sizes of the connector."""

    patch_size: int = 14
    vision_dim: int = 768
    text_dim: int = 2048
    num_heads: int = 16
    query_side: int = 8  # queries form a query_side x query_side grid
    depth: int = 1
    mlp_ratio: float = 2.0

    @property
    def num_queries(self) -> int:
        """Visual tokens per view."""
        return self.query_side**2


def sincos_1d(positions: Tensor, *, dim: int, base: float = 10_000.0) -> Tensor:
    """(L,) -> (L, dim): the first half holds sines, the second half cosines."""
    half = dim // 2
    exponent = torch.arange(half, dtype=torch.float32, device=positions.device) / half
    freqs = base**-exponent  # (half,)
    angles = positions.float()[:, None] * freqs[None, :]  # (L, half)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def sincos_2d(*, height: int, width: int, dim: int, device: torch.device | None = None) -> Tensor:
    """Embeddings of a row-major grid, (height * width, dim); half of the channels for each axis."""
    if dim % 4 != 0:
        raise ValueError(f"dim must be a multiple of 4, got {dim}")
    rows = sincos_1d(torch.arange(height, device=device), dim=dim // 2)  # (H, dim / 2)
    cols = sincos_1d(torch.arange(width, device=device), dim=dim // 2)  # (W, dim / 2)
    rows = rows[:, None, :].expand(height, width, dim // 2)
    cols = cols[None, :, :].expand(height, width, dim // 2)
    return torch.cat([rows, cols], dim=-1).reshape(height * width, dim)


@dataclass
class PatchBatch:
    """Patch embeddings of several views, padded to the longest."""

    tokens: Tensor  # (B, L, D)
    positions: Tensor  # (B, L, D)
    valid: Tensor  # (B, L) bool, False on padding


class PatchEmbedder(nn.Module):
    """Linear embedding of non-overlapping patches."""

    def __init__(self, config: ConnectorConfig) -> None:
        super().__init__()
        self.patch_size = config.patch_size
        self.dim = config.vision_dim
        self.proj = nn.Linear(in_features=3 * config.patch_size**2, out_features=config.vision_dim)
        self.norm = nn.LayerNorm(config.vision_dim)

    def patchify(self, view: Tensor) -> Tensor:
        """(3, H, W) -> (H / p * W / p, 3 * p * p)."""
        p = self.patch_size
        channels, height, width = view.shape
        h, w = height // p, width // p
        patches = view.reshape(channels, h, p, w, p)
        patches = patches.permute(1, 3, 0, 2, 4)  # (h, w, 3, p, p)
        return patches.reshape(h * w, channels * p * p)

    def forward(self, views: list[Tensor]) -> PatchBatch:
        """Embed views of different sizes and pad them into one batch."""
        tokens, positions = [], []
        for view in views:
            h, w = view.shape[1] // self.patch_size, view.shape[2] // self.patch_size
            tokens.append(self.norm(self.proj(self.patchify(view))))  # (h * w, D)
            positions.append(sincos_2d(height=h, width=w, dim=self.dim, device=view.device))
        lengths = torch.tensor([len(item) for item in tokens], device=tokens[0].device)  # (B,)
        steps = torch.arange(int(lengths.max()), device=lengths.device)  # (L,)
        return PatchBatch(
            tokens=nn.utils.rnn.pad_sequence(tokens, batch_first=True),
            positions=nn.utils.rnn.pad_sequence(positions, batch_first=True),
            valid=steps[None, :] < lengths[:, None],
        )


class CrossAttention(nn.Module):
    """Multi-head attention from queries to patches; positions enter the keys but not the values."""

    def __init__(self, *, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = dim // num_heads
        self.to_q = nn.Linear(dim, dim)
        self.to_k = nn.Linear(dim, dim)
        self.to_v = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)

    def split_heads(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, heads, L, D / heads)."""
        batch, length, _ = x.shape
        return x.reshape(batch, length, self.num_heads, self.head_dim).transpose(1, 2)

    def forward(self, *, query: Tensor, key: Tensor, value: Tensor, valid: Tensor) -> Tensor:
        """query (B, Q, D), key and value (B, L, D), valid (B, L) -> (B, Q, D)."""
        q = self.split_heads(self.to_q(query))  # (B, h, Q, d)
        k = self.split_heads(self.to_k(key))  # (B, h, L, d)
        v = self.split_heads(self.to_v(value))  # (B, h, L, d)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=valid[:, None, None, :])
        batch, _, length, _ = mixed.shape
        mixed = mixed.transpose(1, 2).reshape(batch, length, self.num_heads * self.head_dim)
        return self.out(mixed)


class ResamplerBlock(nn.Module):
    """Cross-attention and a feed-forward network, both residual and pre-normalised."""

    def __init__(self, config: ConnectorConfig) -> None:
        super().__init__()
        dim = config.text_dim
        hidden = int(dim * config.mlp_ratio)
        self.norm_attn = nn.LayerNorm(dim)
        self.attn = CrossAttention(dim=dim, num_heads=config.num_heads)
        self.norm_mlp = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(
        self, x: Tensor, *, query_pos: Tensor, patches: Tensor, patch_pos: Tensor, valid: Tensor
    ) -> Tensor:
        """x (B, Q, D), patches (B, L, D) -> (B, Q, D)."""
        x = x + self.attn(
            query=self.norm_attn(x) + query_pos, key=patches + patch_pos, value=patches, valid=valid
        )
        return x + self.mlp(self.norm_mlp(x))


class Resampler(nn.Module):
    """Summarise any number of patches in a fixed number of learned queries."""

    query_pos: Tensor

    def __init__(self, config: ConnectorConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.text_dim
        self.input_proj = nn.Linear(config.vision_dim, dim, bias=False)
        self.input_norm = nn.LayerNorm(dim)
        self.pos_proj = nn.Linear(config.vision_dim, dim, bias=False)
        self.queries = nn.Parameter(0.02 * torch.randn(config.num_queries, dim))
        query_pos = sincos_2d(height=config.query_side, width=config.query_side, dim=dim)
        self.register_buffer("query_pos", query_pos, persistent=False)
        self.blocks = nn.ModuleList([ResamplerBlock(config) for _ in range(config.depth)])
        self.output_norm = nn.LayerNorm(dim)
        self.output_proj = nn.Linear(dim, dim)

    def forward(self, batch: PatchBatch) -> Tensor:
        """(B, L, vision_dim) -> (B, num_queries, text_dim)."""
        patches = self.input_norm(self.input_proj(batch.tokens))  # (B, L, D)
        patch_pos = self.pos_proj(batch.positions)  # (B, L, D)
        x = self.queries.unsqueeze(0).expand(patches.shape[0], -1, -1)  # (B, Q, D)
        for block in self.blocks:
            x = block(x, query_pos=self.query_pos, patches=patches, patch_pos=patch_pos, valid=batch.valid)
        return self.output_proj(self.output_norm(x))


class VisionConnector(nn.Module):
    """Views of an image -> visual tokens in the space of the language model."""

    def __init__(self, config: ConnectorConfig | None = None) -> None:
        super().__init__()
        self.config = config or ConnectorConfig()
        self.embedder = PatchEmbedder(self.config)
        self.resampler = Resampler(self.config)

    def forward(self, views: list[Tensor]) -> Tensor:
        """A list of V views (3, H, W) -> (V, num_queries, text_dim)."""
        return self.resampler(self.embedder(views))
