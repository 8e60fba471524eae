"""Vision transformer with register tokens, text transformer, and the two combined."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Optional

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass
class TransformerConfig:
    width: int = 256
    num_layers: int = 6
    num_heads: int = 4
    expansion: int = 4
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.width % self.num_heads:
            raise ValueError("width must be divisible by num_heads")


@dataclass
class DualEncoderConfig:
    vision: TransformerConfig = field(default_factory=TransformerConfig)
    text: TransformerConfig = field(default_factory=TransformerConfig)
    image_size: int = 128
    patch_size: int = 16
    num_registers: int = 4
    vocabulary_size: int = 16_384
    max_text_length: int = 48
    padding_id: int = 0
    embedding_size: int = 192
    initial_temperature: float = 0.07
    minimum_temperature: float = 0.01

    def __post_init__(self) -> None:
        if self.image_size % self.patch_size:
            raise ValueError("image_size must be a multiple of patch_size")
        if not 0 < self.minimum_temperature <= self.initial_temperature:
            raise ValueError("Temperatures must be positive and the initial one not below the minimum")


class TransformerBlock(nn.Module):
    """Pre-norm self-attention and feed-forward network."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = nn.MultiheadAttention(
            config.width, config.num_heads, dropout=config.dropout, batch_first=True
        )
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(config.width),
            nn.Linear(config.width, config.expansion * config.width),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.expansion * config.width, config.width),
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
        normalized = self.attention_norm(tokens)
        attended, _ = self.attention(
            normalized, normalized, normalized, key_padding_mask=padding_mask, need_weights=False
        )
        tokens = tokens + self.dropout(attended)
        return tokens + self.dropout(self.feed_forward(tokens))


class VisionEncoder(nn.Module):
    """Patches, one class token and several registers; only the class token is read out."""

    def __init__(self, config: DualEncoderConfig) -> None:
        super().__init__()
        width = config.vision.width
        num_patches = (config.image_size // config.patch_size) ** 2
        self.patch_embedding = nn.Conv2d(3, width, kernel_size=config.patch_size, stride=config.patch_size)
        self.position_embedding = nn.Parameter(0.02 * torch.randn(1, num_patches, width))
        self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.register_tokens = nn.Parameter(0.02 * torch.randn(1, config.num_registers, width))
        self.blocks = nn.ModuleList(TransformerBlock(config.vision) for _ in range(config.vision.num_layers))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.embedding_size, bias=False))

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patch_embedding(images).flatten(start_dim=2).transpose(1, 2)
        patches = patches + self.position_embedding
        batch_size = images.size(0)
        prefix = torch.cat([self.class_token, self.register_tokens], dim=1).expand(batch_size, -1, -1)
        tokens = torch.cat([prefix, patches], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        return functional.normalize(self.head(tokens[:, 0]), dim=-1)


class TextEncoder(nn.Module):
    """Bidirectional transformer, averaged over the tokens that are not padding."""

    def __init__(self, config: DualEncoderConfig) -> None:
        super().__init__()
        width = config.text.width
        self.padding_id = config.padding_id
        self.token_embedding = nn.Embedding(config.vocabulary_size, width, padding_idx=config.padding_id)
        self.position_embedding = nn.Embedding(config.max_text_length, width)
        self.blocks = nn.ModuleList(TransformerBlock(config.text) for _ in range(config.text.num_layers))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.embedding_size, bias=False))
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.position_embedding.weight, std=0.02)

    def forward(self, token_ids: Tensor) -> Tensor:
        is_padding = token_ids == self.padding_id
        positions = torch.arange(token_ids.size(1), device=token_ids.device)
        tokens = self.token_embedding(token_ids) + self.position_embedding(positions)
        for block in self.blocks:
            tokens = block(tokens, is_padding)
        is_text = (~is_padding).unsqueeze(-1).to(tokens.dtype)
        average = (tokens * is_text).sum(dim=1) / is_text.sum(dim=1).clamp(min=1)
        return functional.normalize(self.head(average), dim=-1)


class DualEncoder(nn.Module):
    def __init__(self, config: DualEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.vision_encoder = VisionEncoder(config)
        self.text_encoder = TextEncoder(config)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(config.initial_temperature)))

    @property
    def temperature(self) -> Tensor:
        return self.log_temperature.exp().clamp(min=self.config.minimum_temperature)

    def forward(self, images: Tensor, token_ids: Tensor) -> tuple[Tensor, Tensor]:
        return self.vision_encoder(images), self.text_encoder(token_ids)
