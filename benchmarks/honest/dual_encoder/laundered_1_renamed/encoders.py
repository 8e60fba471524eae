"""A vision transformer and a byte transformer that map pictures and captions into one space."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class StackOptions:
    hidden: int
    depth: int
    num_heads: int


@dataclass(frozen=True)
class MatcherOptions:
    vision: StackOptions = StackOptions(256, 8, 4)
    language: StackOptions = StackOptions(256, 6, 4)
    side: int = 112
    tile: int = 14
    spare: int = 4
    symbols: int = 257  # every byte, and one for filling up
    max_bytes: int = 96
    joint: int = 192
    tau: float = 0.07


FILL = 256


def create_weights(options, random_state=0):
    rand = torch.Generator().manual_seed(random_state)
    weights = {}

    def gaussian(key, *dims, std):
        weights[key] = std * torch.randn(*dims, generator=rand)

    def stack(key, stack_options):
        hidden, per_head = stack_options.hidden, stack_options.hidden // stack_options.num_heads
        for level in range(stack_options.depth):
            stem = f"{key}.{level}"
            gaussian(
                f"{stem}.attend_in",
                3,
                hidden,
                stack_options.num_heads,
                per_head,
                std=hidden**-0.5,
            )
            gaussian(
                f"{stem}.attend_out",
                stack_options.num_heads,
                per_head,
                hidden,
                std=(2 * stack_options.depth * hidden) ** -0.5,
            )
            gaussian(f"{stem}.widen", hidden, 4 * hidden, std=hidden**-0.5)
            gaussian(
                f"{stem}.narrow",
                4 * hidden,
                hidden,
                std=(8 * stack_options.depth * hidden) ** -0.5,
            )
            weights[f"{stem}.widen_offset"], weights[f"{stem}.narrow_offset"] = (
                torch.zeros(4 * hidden),
                torch.zeros(hidden),
            )
            weights[f"{stem}.gamma1"], weights[f"{stem}.beta1"] = torch.ones(hidden), torch.zeros(hidden)
            weights[f"{stem}.gamma2"], weights[f"{stem}.beta2"] = torch.ones(hidden), torch.zeros(hidden)
        weights[f"{key}.gamma"], weights[f"{key}.beta"] = torch.ones(hidden), torch.zeros(hidden)
        gaussian(f"{key}.to_joint", hidden, options.joint, std=hidden**-0.5)

    tiles, inputs = options.side // options.tile, 3 * options.tile**2
    gaussian("vision.tile", inputs, options.vision.hidden, std=inputs**-0.5)
    # vertical and horizontal places are learned apart
    gaussian("vision.vertical", tiles, options.vision.hidden, std=0.02)
    gaussian("vision.horizontal", tiles, options.vision.hidden, std=0.02)
    # the summary comes first, the spare tokens follow
    gaussian("vision.prefix", 1 + options.spare, options.vision.hidden, std=0.02)
    gaussian("language.symbol", options.symbols, options.language.hidden, std=0.02)
    gaussian("language.order", options.max_bytes, options.language.hidden, std=0.02)
    stack("vision", options.vision)
    stack("language", options.language)
    weights["log_sharpness"] = -torch.tensor(options.tau).log()
    return {key: weight.requires_grad_() for key, weight in weights.items()}


def standardise(weights, key, which, inputs):
    return F.layer_norm(
        inputs,
        inputs.shape[-1:],
        weights[f"{key}.gamma{which}"],
        weights[f"{key}.beta{which}"],
    )


def transformer_layer(weights, key, tokens, ignore):
    """Self-attention, then two dense layers, each behind a layer norm and around a skip."""
    query, lookup, content = torch.einsum(
        "btd,xdhf->xbhtf",
        standardise(weights, key, 1, tokens),
        weights[f"{key}.attend_in"],
    )
    scores = torch.einsum("bhtf,bhsf->bhts", query, lookup) * query.shape[-1] ** -0.5
    if ignore is not None:
        scores = scores.masked_fill(ignore[:, None, None, :], -torch.inf)
    tokens = tokens + torch.einsum(
        "bhts,bhsf,hfd->btd",
        scores.softmax(-1),
        content,
        weights[f"{key}.attend_out"],
    )
    wide = F.gelu(
        standardise(weights, key, 2, tokens) @ weights[f"{key}.widen"] + weights[f"{key}.widen_offset"]
    )
    return tokens + wide @ weights[f"{key}.narrow"] + weights[f"{key}.narrow_offset"]


def to_sphere(vectors):
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp(min=1e-8)


def picture_vectors(weights, options, pictures):
    """Pictures to points on the sphere, read from the summary token."""
    tiles = options.side // options.tile
    tokens = (2 * pictures - 1).reshape(
        len(pictures),
        3,
        tiles,
        options.tile,
        tiles,
        options.tile,
    )
    tokens = torch.einsum(
        "bciujv,cuvd->bijd",
        tokens,
        weights["vision.tile"].reshape(3, options.tile, options.tile, -1),
    )
    tokens = tokens + weights["vision.vertical"][:, None] + weights["vision.horizontal"]
    tokens = torch.cat(
        [
            weights["vision.prefix"].expand(len(tokens), -1, -1),
            tokens.flatten(1, 2),
        ],
        1,
    )
    for level in range(options.vision.depth):
        tokens = transformer_layer(weights, f"vision.{level}", tokens, None)
    return to_sphere(standardise(weights, "vision", "", tokens[:, 0]) @ weights["vision.to_joint"])


def caption_vectors(weights, options, codes):
    """Byte codes to points on the sphere, averaged over what is not filling."""
    filling = codes == FILL
    tokens = weights["language.symbol"][codes] + weights["language.order"][: codes.shape[1]]
    for level in range(options.language.depth):
        tokens = transformer_layer(weights, f"language.{level}", tokens, filling)
    tokens = standardise(weights, "language", "", tokens)
    counted = (~filling).to(tokens.dtype)
    average = torch.einsum("btd,bt->bd", tokens, counted) / counted.sum(1, keepdim=True)
    return to_sphere(average @ weights["language.to_joint"])


def to_codes(captions, options):
    """Captions as rows of bytes, shortened or filled up to one length; nothing at all becomes a space."""
    lines = [
        torch.tensor(list((caption or " ").encode()[: options.max_bytes])) for caption in captions
    ]
    return torch.nn.utils.rnn.pad_sequence(
        lines,
        batch_first=True,
        padding_value=FILL,
    )
