"""Decoder-only transformer with rotary positions, grouped-query attention and a key/value cache."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass
class LanguageModelConfig:
    vocabulary_size: int
    hidden_size: int = 384
    num_layers: int = 8
    num_query_heads: int = 8
    num_key_value_heads: int = 2
    feed_forward_size: int = 1024
    max_sequence_length: int = 1024
    rotary_base: float = 10_000.0
    norm_epsilon: float = 1e-5
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_query_heads:
            raise ValueError("hidden_size must be divisible by num_query_heads")
        if self.num_query_heads % self.num_key_value_heads:
            raise ValueError("num_query_heads must be divisible by num_key_value_heads")
        if self.head_size % 2:
            raise ValueError("Rotary positions need an even head size")

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_query_heads


class RootMeanSquareNorm(nn.Module):
    def __init__(self, size: int, epsilon: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, inputs: Tensor) -> Tensor:
        working = inputs.float()
        normalized = working * torch.rsqrt(working.square().mean(dim=-1, keepdim=True) + self.epsilon)
        return normalized.to(inputs.dtype) * self.scale


class RotaryPositions(nn.Module):
    """Precomputed rotation angles; the two halves of a head form the rotated pairs."""

    def __init__(self, head_size: int, max_length: int, base: float) -> None:
        super().__init__()
        frequencies = base ** (-torch.arange(0, head_size, 2, dtype=torch.float32) / head_size)
        angles = torch.outer(torch.arange(max_length, dtype=torch.float32), frequencies)
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)

    def forward(self, heads: Tensor, start: int) -> Tensor:
        length = heads.size(-2)
        cosine = self.cosine[start : start + length].to(heads.dtype)
        sine = self.sine[start : start + length].to(heads.dtype)
        first, second = heads.chunk(2, dim=-1)
        return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


class LayerCache:
    """Preallocated keys and values of one layer."""

    def __init__(self, config: LanguageModelConfig, batch_size: int, like: Tensor) -> None:
        shape = (batch_size, config.num_key_value_heads, config.max_sequence_length, config.head_size)
        self.keys = torch.empty(shape, dtype=like.dtype, device=like.device)
        self.values = torch.empty_like(self.keys)
        self.length = 0

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        end = self.length + keys.size(2)
        self.keys[:, :, self.length : end] = keys
        self.values[:, :, self.length : end] = values
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]


class GroupedQueryAttention(nn.Module):
    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.config = config
        key_value_size = config.num_key_value_heads * config.head_size
        self.query_projection = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.key_projection = nn.Linear(config.hidden_size, key_value_size, bias=False)
        self.value_projection = nn.Linear(config.hidden_size, key_value_size, bias=False)
        self.output_projection = nn.Linear(config.hidden_size, config.hidden_size, bias=False)

    def _split_heads(self, projected: Tensor) -> Tensor:
        return projected.unflatten(-1, (-1, self.config.head_size)).transpose(1, 2)

    def forward(self, hidden: Tensor, rotary: RotaryPositions, cache: Optional[LayerCache]) -> Tensor:
        start = cache.length if cache is not None else 0
        queries = rotary(self._split_heads(self.query_projection(hidden)), start)
        keys = rotary(self._split_heads(self.key_projection(hidden)), start)
        values = self._split_heads(self.value_projection(hidden))
        if cache is not None:
            keys, values = cache.append(keys, values)

        group_size = self.config.num_query_heads // self.config.num_key_value_heads
        keys = keys.repeat_interleave(group_size, dim=1)
        values = values.repeat_interleave(group_size, dim=1)

        num_queries, num_keys = queries.size(2), keys.size(2)
        visible = torch.ones(num_queries, num_keys, dtype=torch.bool, device=hidden.device)
        visible = visible.tril(diagonal=num_keys - num_queries)
        attended = functional.scaled_dot_product_attention(
            queries,
            keys,
            values,
            attn_mask=visible,
            dropout_p=self.config.dropout if self.training else 0.0,
        )
        return self.output_projection(attended.transpose(1, 2).flatten(start_dim=2))


class GatedFeedForward(nn.Module):
    """SwiGLU: the SiLU of one projection gates another."""

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.gate_projection = nn.Linear(config.hidden_size, config.feed_forward_size, bias=False)
        self.value_projection = nn.Linear(config.hidden_size, config.feed_forward_size, bias=False)
        self.output_projection = nn.Linear(config.feed_forward_size, config.hidden_size, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        gate = functional.silu(self.gate_projection(hidden))
        return self.output_projection(gate * self.value_projection(hidden))


class DecoderBlock(nn.Module):
    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.attention_norm = RootMeanSquareNorm(config.hidden_size, config.norm_epsilon)
        self.attention = GroupedQueryAttention(config)
        self.feed_forward_norm = RootMeanSquareNorm(config.hidden_size, config.norm_epsilon)
        self.feed_forward = GatedFeedForward(config)
        self.residual_dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: Tensor, rotary: RotaryPositions, cache: Optional[LayerCache]) -> Tensor:
        attended = self.attention(self.attention_norm(hidden), rotary, cache)
        hidden = hidden + self.residual_dropout(attended)
        return hidden + self.residual_dropout(self.feed_forward(self.feed_forward_norm(hidden)))


class DecoderLanguageModel(nn.Module):
    """The embedding matrix doubles as the output projection."""

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocabulary_size, config.hidden_size)
        self.rotary = RotaryPositions(config.head_size, config.max_sequence_length, config.rotary_base)
        self.blocks = nn.ModuleList(DecoderBlock(config) for _ in range(config.num_layers))
        self.final_norm = RootMeanSquareNorm(config.hidden_size, config.norm_epsilon)
        self._initialize_weights()

    def _initialize_weights(self) -> None:
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        residual_std = 0.02 / math.sqrt(2 * self.config.num_layers)
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=residual_std if "output_projection" in name else 0.02)

    def create_cache(self, batch_size: int) -> list[LayerCache]:
        weight = self.token_embedding.weight
        return [LayerCache(self.config, batch_size, like=weight) for _ in self.blocks]

    def forward(self, token_ids: Tensor, caches: Optional[list[LayerCache]] = None) -> Tensor:
        already_cached = caches[0].length if caches else 0
        if already_cached + token_ids.size(1) > self.config.max_sequence_length:
            raise ValueError(f"Sequence exceeds the maximum length of {self.config.max_sequence_length}")
        hidden = self.token_embedding(token_ids)
        for index, block in enumerate(self.blocks):
            hidden = block(hidden, self.rotary, caches[index] if caches else None)
        return functional.linear(self.final_norm(hidden), self.token_embedding.weight)
