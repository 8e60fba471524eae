"""Prompt expansion and merging of image features, JAX version."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from modeling_flax_resampler import FlaxResamplerConfig, FlaxVisionTower
from tiler import TileLayout, TilerConfig, tile_image

IMAGE_MARKER = "<img_here>"
IMAGE_TOKEN = "<img_tok>"
OVERVIEW_START, OVERVIEW_END = "<ov>", "</ov>"
TILE_START, TILE_END = "<tl>", "</tl>"
ROW_SEPARATOR = "\n"
SPECIAL_TOKENS = (IMAGE_TOKEN, OVERVIEW_START, OVERVIEW_END, TILE_START, TILE_END)


def layout_to_text(layout: TileLayout, query_count: int) -> str:
    tokens = IMAGE_TOKEN * query_count
    text = f"{OVERVIEW_START}{tokens}{OVERVIEW_END}"
    if layout.total == 1:
        return text
    row = f"{TILE_START}{tokens}{TILE_END}" * layout.n_cols
    return text + ROW_SEPARATOR + ROW_SEPARATOR.join([row] * layout.n_rows)


def expand_markers(text: str, layouts: list[TileLayout], query_count: int) -> str:
    chunks = text.split(IMAGE_MARKER)
    if len(chunks) - 1 != len(layouts):
        raise ValueError(f"expected {len(chunks) - 1} images for the markers in the text, got {len(layouts)}")
    result = chunks[0]
    for layout, chunk in zip(layouts, chunks[1:]):
        result += layout_to_text(layout, query_count) + chunk
    return result


def merge_image_features(
    input_ids: jax.Array, inputs_embeds: jax.Array, features: jax.Array, image_token_id: int
) -> jax.Array:
    """Not jittable: the number of image tokens is checked against the number of features."""
    is_image = input_ids == image_token_id
    flat = features.reshape(-1, features.shape[-1]).astype(inputs_embeds.dtype)
    if int(is_image.sum()) != flat.shape[0]:
        raise ValueError(f"{int(is_image.sum())} image tokens but {flat.shape[0]} image features")
    return inputs_embeds.at[jnp.nonzero(is_image)].set(flat)


def main() -> None:
    key_image, key_params = jax.random.split(jax.random.PRNGKey(0))
    config = FlaxResamplerConfig(vision_features=256, text_features=512, heads=8)
    model = FlaxVisionTower(config)

    images, layout = tile_image(TilerConfig(), jax.random.uniform(key_image, (600, 1000, 3)))
    params = model.init(key_params, images)
    features = model.apply(params, images)
    text = expand_markers(f"{IMAGE_MARKER}\nWhat is this?", [layout], config.query_count)
    print(f"layout {layout.n_rows}x{layout.n_cols}, features {features.shape}")

    token_id, length = 7, text.count(IMAGE_TOKEN) + 5
    input_ids = jnp.full((1, length), token_id).at[:, -5:].set(1)
    merged = merge_image_features(input_ids, jnp.zeros((1, length, 512)), features, token_id)
    print(f"merged {merged.shape}")


if __name__ == "__main__":
    main()
