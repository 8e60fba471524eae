# Chat text with room for pictures.
from __future__ import annotations

from dataclasses import dataclass

from bridge import BridgeSettings, VisualBridge
from mosaic import Layout, MosaicMaker, MosaicSettings
from torch import Tensor
import torch


@dataclass(frozen=True)
class Markup:
    picture: str = '[[picture]]'
    slot: str = '[[v]]'
    overview_begin: str = '[[overview]]'
    overview_end: str = '[[/overview]]'
    cell_begin: str = '[[cell]]'
    cell_end: str = '[[/cell]]'
    newline: str = '\n'

    def added_tokens(self) -> list[str]:
        return [
            self.slot,
            self.overview_begin,
            self.overview_end,
            self.cell_begin,
            self.cell_end,
        ]


class SlotWriter:
    """Writes slots in the place of picture tags."""

    def __init__(self, *, n_latents: int, markup: Markup | None = None) -> None:
        self.n_latents = n_latents
        self.markup = markup or Markup()

    def picture_markup(self, layout: Layout) -> str:
        m = self.markup
        run = m.slot * self.n_latents
        s = f'{m.overview_begin}{run}{m.overview_end}'
        if layout.area == 1:
            return s
        line = f'{m.cell_begin}{run}{m.cell_end}' * layout.n_across
        return s + m.newline + m.newline.join([line] * layout.n_down)

    def __call__(self, chat: str, *, layouts: list[Layout]) -> str:
        parts = chat.split(self.markup.picture)
        if len(parts) - 1 != len(layouts):
            raise ValueError(
                f'{len(parts) - 1} picture tags found, {len(layouts)} pictures passed'
            )
        out = parts[0]
        for layout, part in zip(layouts, parts[1:], strict=True):
            out += self.picture_markup(layout) + part
        return out


def fill_slots(*, ids: Tensor, embeds: Tensor, latents: Tensor, slot_id: int) -> Tensor:
    """Overwrite the embedding of each slot with a latent; returns a new tensor."""
    where = ids == slot_id
    rows = latents.reshape(-1, latents.shape[-1]).to(embeds.dtype)
    if int(where.sum()) != rows.shape[0]:
        raise ValueError(f'slot count {int(where.sum())} != latent count {rows.shape[0]}')
    return embeds.masked_scatter(where.unsqueeze(-1), rows)


def demo() -> None:
    maker = MosaicMaker(MosaicSettings())
    bridge = VisualBridge(BridgeSettings(n_heads=8, llm_width=512, img_width=256))
    writer = SlotWriter(n_latents=bridge.settings.n_latents)

    mosaic = maker(torch.rand(3, 600, 1000))
    latents = bridge(mosaic.all_crops())
    chat = writer('[[picture]]\nDescribe this.', layouts=[mosaic.layout])
    print(f'layout {mosaic.layout.n_down}x{mosaic.layout.n_across}, latents {tuple(latents.shape)}')

    slot_id, total = 7, chat.count('[[v]]') + 5
    ids = torch.full((1, total), slot_id)
    ids[:, -5:] = 1
    filled = fill_slots(
        slot_id=slot_id, latents=latents, embeds=torch.zeros(1, total, 512), ids=ids
    )
    print(f'filled {tuple(filled.shape)}')


if __name__ == '__main__':
    demo()
