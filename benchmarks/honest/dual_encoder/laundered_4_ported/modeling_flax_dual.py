"""The picture and the caption encoder in Flax."""

from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax.nn.initializers import normal

PADDING = 256


@dataclass(frozen=True)
class EncoderConfig:
    features: int
    num_layers: int
    num_heads: int


@dataclass(frozen=True)
class FlaxDualConfig:
    vision: EncoderConfig = EncoderConfig(256, 8, 4)
    text: EncoderConfig = EncoderConfig(256, 6, 4)
    resolution: int = 112
    patch_size: int = 14
    num_registers: int = 4
    vocab_size: int = 257
    max_length: int = 96
    embedding_dim: int = 192
    temperature: float = 0.07


def l2_normalize(vectors):
    return vectors / jnp.maximum(jnp.linalg.norm(vectors, axis=-1, keepdims=True), 1e-8)


class FlaxEncoderBlock(nn.Module):
    cfg: EncoderConfig

    @nn.compact
    def __call__(self, tokens, padding=None):
        features, heads = self.cfg.features, self.cfg.num_heads
        head_dim, depth = features // heads, self.cfg.num_layers
        in_kernel = self.param("in_kernel", normal(features**-0.5), (3, features, heads, head_dim))
        out_kernel = self.param("out_kernel", normal((2 * depth * features) ** -0.5), (heads, head_dim, features))
        normed = nn.LayerNorm(epsilon=1e-5, name="attention_norm")(tokens)
        query, key, value = jnp.einsum("btd,xdhf->xbhtf", normed, in_kernel)
        scores = jnp.einsum("bhtf,bhsf->bhts", query, key) * head_dim**-0.5
        if padding is not None:
            scores = jnp.where(padding[:, None, None, :], -jnp.inf, scores)
        tokens = tokens + jnp.einsum("bhts,bhsf,hfd->btd", nn.softmax(scores, axis=-1), value, out_kernel)
        hidden = nn.LayerNorm(epsilon=1e-5, name="mlp_norm")(tokens)
        hidden = nn.Dense(4 * features, kernel_init=normal(features**-0.5), name="mlp_in")(hidden)
        hidden = nn.gelu(hidden, approximate=False)
        out_init = normal((8 * depth * features) ** -0.5)
        return tokens + nn.Dense(features, kernel_init=out_init, name="mlp_out")(hidden)


class FlaxPictureEncoder(nn.Module):
    cfg: FlaxDualConfig

    @nn.compact
    def __call__(self, pictures):
        cfg, features, patch = self.cfg, self.cfg.vision.features, self.cfg.patch_size
        grid = cfg.resolution // patch
        num_values = 3 * patch**2
        patch_kernel = self.param("patch_kernel", normal(num_values**-0.5), (num_values, features))
        row_embedding = self.param("row_embedding", normal(0.02), (grid, features))
        column_embedding = self.param("column_embedding", normal(0.02), (grid, features))
        prefix = self.param("prefix", normal(0.02), (1 + cfg.num_registers, features))

        tokens = (2 * pictures - 1).reshape(len(pictures), 3, grid, patch, grid, patch)
        tokens = jnp.einsum("bciujv,cuvd->bijd", tokens, patch_kernel.reshape(3, patch, patch, features))
        tokens = tokens + row_embedding[:, None] + column_embedding
        tokens = tokens.reshape(len(pictures), grid * grid, features)
        prefix = jnp.broadcast_to(prefix, (len(pictures), *prefix.shape))
        tokens = jnp.concatenate([prefix, tokens], axis=1)
        for layer in range(cfg.vision.num_layers):
            tokens = FlaxEncoderBlock(cfg.vision, name=f"block_{layer}")(tokens)
        summary = nn.LayerNorm(epsilon=1e-5, name="final_norm")(tokens[:, 0])
        projection = nn.Dense(cfg.embedding_dim, use_bias=False, kernel_init=normal(features**-0.5), name="projection")
        return l2_normalize(projection(summary))


class FlaxCaptionEncoder(nn.Module):
    cfg: FlaxDualConfig

    @nn.compact
    def __call__(self, token_ids):
        cfg, features = self.cfg, self.cfg.text.features
        token_embedding = self.param("token_embedding", normal(0.02), (cfg.vocab_size, features))
        position_embedding = self.param("position_embedding", normal(0.02), (cfg.max_length, features))
        padding = token_ids == PADDING
        tokens = token_embedding[token_ids] + position_embedding[: token_ids.shape[1]]
        for layer in range(cfg.text.num_layers):
            tokens = FlaxEncoderBlock(cfg.text, name=f"block_{layer}")(tokens, padding)
        tokens = nn.LayerNorm(epsilon=1e-5, name="final_norm")(tokens)
        real = (~padding).astype(tokens.dtype)
        mean = jnp.einsum("btd,bt->bd", tokens, real) / real.sum(axis=1, keepdims=True)
        projection = nn.Dense(cfg.embedding_dim, use_bias=False, kernel_init=normal(features**-0.5), name="projection")
        return l2_normalize(projection(mean))


class FlaxDualEncoder(nn.Module):
    cfg: FlaxDualConfig

    def setup(self):
        self.vision = FlaxPictureEncoder(self.cfg)
        self.text = FlaxCaptionEncoder(self.cfg)
        self.log_scale = self.param("log_scale", lambda key: -jnp.log(jnp.float32(self.cfg.temperature)))

    def encode_pictures(self, pictures):
        return self.vision(pictures)

    def encode_captions(self, token_ids):
        return self.text(token_ids)

    def __call__(self, pictures, token_ids):
        return self.vision(pictures), self.text(token_ids), jnp.exp(self.log_scale)


def byte_ids(captions, cfg):
    """Always (batch, max_length), so that XLA compiles once; the padding is ignored by the encoder."""
    token_ids = np.full((len(captions), cfg.max_length), PADDING, dtype=np.int32)
    for row, caption in enumerate(captions):
        data = list((caption or " ").encode()[: cfg.max_length])
        token_ids[row, : len(data)] = data
    return jnp.asarray(token_ids)
