"""The feature-token transformer, the MLP baseline and the factory that builds either."""
from dataclasses import dataclass
from typing import List, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class ModelSettings:
    token_size: int = 64
    block_count: int = 3
    head_count: int = 8
    feed_forward_factor: float = 4 / 3
    attention_dropout: float = 0.2
    feed_forward_dropout: float = 0.1
    residual_dropout: float = 0.0
    mlp_layer_sizes: Tuple[int, ...] = (256, 256)
    mlp_dropout: float = 0.1
    mlp_category_embedding_size: int = 8

    def __post_init__(self):
        if self.token_size % self.head_count != 0:
            raise ValueError(f"token_size {self.token_size} is not divisible by head_count {self.head_count}")


class CategoricalEmbeddingTable(nn.Module):
    """All category vectors in one matrix; each column owns a slice found through its offset."""

    def __init__(self, cardinalities: List[int], size: int):
        super().__init__()
        offsets = torch.tensor([0, *cardinalities[:-1]]).cumsum(0)
        self.register_buffer("offsets", offsets[:len(cardinalities)])
        self.embedding = nn.Embedding(sum(cardinalities), size)
        nn.init.uniform_(self.embedding.weight, -size ** -0.5, size ** -0.5)

    def forward(self, codes: Tensor) -> Tensor:
        return self.embedding(codes + self.offsets)


class FeatureTokenizer(nn.Module):
    def __init__(self, numerical_count: int, cardinalities: List[int], token_size: int):
        super().__init__()
        limit = token_size ** -0.5

        def new_parameter(rows: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(rows, token_size).uniform_(-limit, limit))

        self.cls_token = new_parameter(1)
        self.numerical_weight = new_parameter(numerical_count)
        self.feature_bias = new_parameter(numerical_count + len(cardinalities))
        self.categories = CategoricalEmbeddingTable(cardinalities, token_size) if cardinalities else None

    def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
        tokens = numerical.unsqueeze(-1) * self.numerical_weight
        if self.categories is not None:
            tokens = torch.cat([tokens, self.categories(categorical)], dim=1)
        cls_tokens = self.cls_token.expand(len(tokens), 1, -1)
        return torch.cat([cls_tokens, tokens + self.feature_bias], dim=1)


class MultiHeadSelfAttention(nn.Module):
    def __init__(self, settings: ModelSettings):
        super().__init__()
        self._head_count = settings.head_count
        self.query = nn.Linear(settings.token_size, settings.token_size)
        self.key_value = nn.Linear(settings.token_size, 2 * settings.token_size)
        self.output = nn.Linear(settings.token_size, settings.token_size)
        self.dropout = nn.Dropout(settings.attention_dropout)

    def _split_heads(self, tensor: Tensor) -> Tensor:
        return tensor.unflatten(-1, (self._head_count, -1)).transpose(1, 2)

    def forward(self, queries: Tensor, context: Tensor) -> Tensor:
        query = self._split_heads(self.query(queries))
        key, value = (self._split_heads(part) for part in self.key_value(context).chunk(2, dim=-1))
        scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
        mixed = self.dropout(scores.softmax(dim=-1)) @ value
        return self.output(mixed.transpose(1, 2).flatten(2))


class ReGluFeedForward(nn.Module):
    def __init__(self, settings: ModelSettings):
        super().__init__()
        hidden_size = int(settings.token_size * settings.feed_forward_factor)
        self.expand = nn.Linear(settings.token_size, 2 * hidden_size)
        self.contract = nn.Linear(hidden_size, settings.token_size)
        self.dropout = nn.Dropout(settings.feed_forward_dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        content, gate = self.expand(tokens).chunk(2, dim=-1)
        return self.contract(self.dropout(content * F.relu(gate)))


class PreNormTransformerBlock(nn.Module):
    def __init__(self, settings: ModelSettings, is_first: bool, is_last: bool):
        super().__init__()
        # The first block sees raw tokens, which train better without normalization.
        self.attention_norm = nn.Identity() if is_first else nn.LayerNorm(settings.token_size)
        self.attention = MultiHeadSelfAttention(settings)
        self.feed_forward_norm = nn.LayerNorm(settings.token_size)
        self.feed_forward = ReGluFeedForward(settings)
        self.residual_dropout = nn.Dropout(settings.residual_dropout)
        self._only_cls = is_last

    def forward(self, tokens: Tensor) -> Tensor:
        normalized = self.attention_norm(tokens)
        if self._only_cls:  # nothing but the CLS token is read after the last block
            tokens, queries = tokens[:, :1], normalized[:, :1]
        else:
            queries = normalized
        tokens = tokens + self.residual_dropout(self.attention(queries, normalized))
        return tokens + self.residual_dropout(self.feed_forward(self.feed_forward_norm(tokens)))


class PredictionHead(nn.Module):
    def __init__(self, token_size: int, output_size: int):
        super().__init__()
        self.norm = nn.LayerNorm(token_size)
        self.linear = nn.Linear(token_size, output_size)

    def forward(self, cls_state: Tensor) -> Tensor:
        return self.linear(F.relu(self.norm(cls_state)))


class FeatureTokenTransformer(nn.Module):
    def __init__(self, numerical_count, cardinalities, output_size, settings: ModelSettings):
        super().__init__()
        self.tokenizer = FeatureTokenizer(numerical_count, cardinalities, settings.token_size)
        last = settings.block_count - 1
        self.blocks = nn.Sequential(*(PreNormTransformerBlock(settings, index == 0, index == last)
                                      for index in range(settings.block_count)))
        self.head = PredictionHead(settings.token_size, output_size)

    def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
        return self.head(self.blocks(self.tokenizer(numerical, categorical))[:, 0])


class MultiLayerPerceptronBaseline(nn.Module):
    def __init__(self, numerical_count, cardinalities, output_size, settings: ModelSettings):
        super().__init__()
        width = settings.mlp_category_embedding_size
        self.categories = CategoricalEmbeddingTable(cardinalities, width) if cardinalities else None
        input_size, layers = numerical_count + width * len(cardinalities), []
        for layer_size in settings.mlp_layer_sizes:
            layers += [nn.Linear(input_size, layer_size), nn.ReLU(), nn.Dropout(settings.mlp_dropout)]
            input_size = layer_size
        self.layers = nn.Sequential(*layers, nn.Linear(input_size, output_size))

    def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
        if self.categories is None:
            return self.layers(numerical)
        return self.layers(torch.cat([numerical, self.categories(categorical).flatten(1)], dim=1))


class TabularModelFactory:
    _REGISTRY = {"transformer": FeatureTokenTransformer, "mlp": MultiLayerPerceptronBaseline}

    @classmethod
    def create(cls, name: str, numerical_count: int, cardinalities: List[int], output_size: int,
               settings: ModelSettings) -> nn.Module:
        if name not in cls._REGISTRY:
            raise ValueError(f"Unknown model '{name}'; choose one of {sorted(cls._REGISTRY)}")
        return cls._REGISTRY[name](numerical_count, cardinalities, output_size, settings)
