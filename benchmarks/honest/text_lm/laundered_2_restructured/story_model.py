"""The story model: settings, blocks, output scores and loss."""

import math
from dataclasses import dataclass

import torch
from torch import nn

from layers import GatedLayer, LayerCache, RootMeanSquare, Rotation, SharedAttention, gaussian


@dataclass(frozen=True)
class Settings:
    pieces: int
    window: int = 1024
    features: int = 512
    hidden: int = 1408
    blocks: int = 8
    query_heads: int = 8
    shared_heads: int = 2
    rope_base: float = 10000.0
    epsilon: float = 1e-6

    def __post_init__(self):
        if self.features % self.query_heads != 0:
            raise ValueError("features cannot be divided among the query heads")
        if self.query_heads % self.shared_heads != 0:
            raise ValueError("query heads cannot be divided among the shared heads")
        if self.head_size % 2 != 0:
            raise ValueError("heads of odd size cannot be rotated")

    @property
    def head_size(self):
        return self.features // self.query_heads

    @property
    def sharing(self):
        return self.query_heads // self.shared_heads


class Block(nn.Module):
    def __init__(self, settings, generator):
        super().__init__()
        branch_scale = 1 / math.sqrt(2 * settings.blocks)
        self.attention = SharedAttention(settings, generator, branch_scale)
        self.gated = GatedLayer(settings, generator, branch_scale)
        self.before_attention = RootMeanSquare(settings.features, settings.epsilon)
        self.before_gated = RootMeanSquare(settings.features, settings.epsilon)

    def forward(self, stream, *context):
        stream = self.attention(self.before_attention(stream), *context) + stream
        return self.gated(self.before_gated(stream)) + stream


class StoryCache:
    def __init__(self, model, rows):
        table = model.table
        self.filled = 0
        self.layers = [
            LayerCache(model.settings, rows, table.device, table.dtype) for _ in range(model.settings.blocks)
        ]


class StoryModel(nn.Module):
    def __init__(self, settings, seed=0):
        super().__init__()
        self.settings = settings
        generator = torch.Generator()
        generator.manual_seed(seed)
        self.table = gaussian(generator, 0.02, settings.pieces, settings.features)
        self.blocks = nn.ModuleList([Block(settings, generator) for _ in range(settings.blocks)])
        self.final = RootMeanSquare(settings.features, settings.epsilon)

    def forward(self, numbers, cache=None):
        """Scores (batch, time, pieces) for the piece after each of the numbers (batch, time)."""
        begin = 0 if cache is None else cache.filled
        end = begin + numbers.size(1)
        if end > self.settings.window:
            raise ValueError(f"the window has {self.settings.window} places and the text needs {end}")

        device = numbers.device
        future = torch.ones(end - begin, end, dtype=torch.bool, device=device).triu(begin + 1)
        rotation = Rotation(self.settings, device, begin, end)
        stream = nn.functional.embedding(numbers, self.table) * math.sqrt(self.settings.features)
        layers = [None] * len(self.blocks) if cache is None else cache.layers
        for block, layer in zip(self.blocks, layers):
            stream = block(stream, rotation, future, layer, begin)
        if cache is not None:
            cache.filled = end
        return nn.functional.linear(self.final(stream), self.table)

    def losses(self, numbers, following):
        """Loss of each position in nats, (batch, time); positions whose following number is -1 cost nothing."""
        scores = self(numbers).to(torch.float32)
        flat = nn.functional.cross_entropy(
            scores.flatten(0, 1), following.flatten(), reduction="none", ignore_index=-1
        )
        return flat.view(following.shape)

    def parameter_groups(self, weight_decay):
        matrices, vectors = [], []
        for parameter in self.parameters():
            (vectors if parameter.dim() == 1 else matrices).append(parameter)
        return [
            {"params": matrices, "weight_decay": weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
