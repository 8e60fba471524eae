"""Placeholder tokens: where in the text the visual tokens of each view go."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from connector import ConnectorConfig, VisionConnector
from tiling import Grid, ImageTiler, TilingConfig
from torch import Tensor


@dataclass(frozen=True)
class PlaceholderConfig:
    """Spelling of the special tokens."""

    image: str = "<image>"  # written by the user, one per image
    pad: str = "<vis>"  # replaced by one visual token each
    thumb_open: str = "<thumb>"
    thumb_close: str = "</thumb>"
    tile_open: str = "<tile>"
    tile_close: str = "</tile>"
    row_end: str = "\n"

    def special_tokens(self) -> list[str]:
        """Tokens that the tokenizer must know."""
        return [self.pad, self.thumb_open, self.thumb_close, self.tile_open, self.tile_close]


class PromptBuilder:
    """Expand each image marker into the placeholders of its views."""

    def __init__(self, *, num_queries: int, config: PlaceholderConfig | None = None) -> None:
        self.num_queries = num_queries
        self.config = config or PlaceholderConfig()

    def image_text(self, grid: Grid) -> str:
        """Placeholders of one image: the thumbnail, then the tiles row by row."""
        cfg = self.config
        slots = cfg.pad * self.num_queries
        text = f"{cfg.thumb_open}{slots}{cfg.thumb_close}"
        if grid.num_tiles == 1:
            return text
        row = f"{cfg.tile_open}{slots}{cfg.tile_close}" * grid.cols
        return text + cfg.row_end + cfg.row_end.join([row] * grid.rows)

    def __call__(self, text: str, *, grids: list[Grid]) -> str:
        """Replace the markers in order; their number must equal the number of images."""
        pieces = text.split(self.config.image)
        if len(pieces) - 1 != len(grids):
            raise ValueError(f"text has {len(pieces) - 1} image markers but {len(grids)} images were given")
        expanded = pieces[0]
        for grid, piece in zip(grids, pieces[1:], strict=True):
            expanded += self.image_text(grid) + piece
        return expanded


def merge_embeddings(*, token_ids: Tensor, text_embeds: Tensor, visual: Tensor, pad_id: int) -> Tensor:
    """Put visual tokens where the placeholders are.

    token_ids (B, T), text_embeds (B, T, D), visual (V, Q, D) in the order of appearance -> (B, T, D).
    """
    slots = token_ids == pad_id  # (B, T)
    flat = visual.reshape(-1, visual.shape[-1]).to(text_embeds.dtype)  # (V * Q, D)
    if int(slots.sum()) != flat.shape[0]:
        raise ValueError(f"{int(slots.sum())} placeholders for {flat.shape[0]} visual tokens")
    return text_embeds.masked_scatter(slots.unsqueeze(-1), flat)


def main() -> None:
    """Show the shapes for a wide random image."""
    tiler = ImageTiler(TilingConfig())
    connector = VisionConnector(ConnectorConfig(vision_dim=256, text_dim=512, num_heads=8))
    builder = PromptBuilder(num_queries=connector.config.num_queries)

    tiled = tiler(torch.rand(3, 600, 1000))
    visual = connector(tiled.views())  # (V, Q, D)
    prompt = builder("<image>\nWhat is shown here?", grids=[tiled.grid])
    print(f"grid {tiled.grid.rows}x{tiled.grid.cols}, visual tokens {tuple(visual.shape)}")

    pad_id, length = 7, prompt.count("<vis>") + 5
    token_ids = torch.full((1, length), pad_id)
    token_ids[:, -5:] = 1
    merged = merge_embeddings(
        token_ids=token_ids, text_embeds=torch.zeros(1, length, 512), visual=visual, pad_id=pad_id
    )
    print(f"merged embeddings {tuple(merged.shape)}")


if __name__ == "__main__":
    main()
