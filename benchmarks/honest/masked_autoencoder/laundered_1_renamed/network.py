"""Networks of PatchFill: the trunk, the painter and the tagger."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class FillSettings:
    resolution: int = 96
    tile: int = 8
    colours: int = 3
    width: int = 384
    layers: int = 12
    num_heads: int = 6
    painter_width: int = 192
    painter_layers: int = 4
    painter_heads: int = 6
    expansion: float = 4.0
    hide_fraction: float = 0.75
    whiten: bool = True

    @property
    def side(self) -> int:
        return self.resolution // self.tile

    @property
    def tile_count(self) -> int:
        return self.side ** 2


def wave_table(width: int, side: int, lead: bool = True) -> Tensor:
    """Build the constant location codes.

    First half of the features is the vertical place, second half the horizontal
    one; a zero row is put in front when ``lead`` is set.
    """
    if width % 4:
        raise ValueError(
            f"width must be divisible by 4, got {width}"
        )
    omega = 1.0 / 10000 ** (
        torch.arange(width // 4, dtype=torch.float64) / (width // 4)
    )
    ticks = torch.arange(side, dtype=torch.float64)
    phase = ticks[:, None] * omega[None]
    line = torch.cat(
        [phase.sin(), phase.cos()],
        dim=1,
    )
    vertical = line[:, None].expand(side, side, -1)
    horizontal = line[None].expand(side, side, -1)
    codes = torch.cat(
        [vertical, horizontal],
        dim=-1,
    ).reshape(side * side, width)
    if lead:
        codes = torch.cat(
            [
                torch.zeros(1, width, dtype=codes.dtype),
                codes,
            ]
        )
    return codes.float().unsqueeze(0)


def cut_tiles(pictures: Tensor, edge: int) -> Tensor:
    count, col, tall, wide = pictures.shape
    out = pictures.reshape(
        count,
        col,
        tall // edge,
        edge,
        wide // edge,
        edge,
    )
    return out.permute(0, 2, 4, 3, 5, 1).reshape(
        count,
        (tall // edge) * (wide // edge),
        edge * edge * col,
    )


def glue_tiles(tiles: Tensor, edge: int, colours: int = 3) -> Tensor:
    count, amount, _ = tiles.shape
    side = int(amount ** 0.5)
    out = tiles.reshape(
        count,
        side,
        side,
        edge,
        edge,
        colours,
    )
    return out.permute(0, 5, 1, 3, 2, 4).reshape(
        count,
        colours,
        side * edge,
        side * edge,
    )


def drop_tiles(
    seq: Tensor,
    fraction: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Throw away tiles at random, each picture on its own.

    Gives back what is left, a 0/1 map in picture order (one where a tile went
    missing) and the index that brings the tiles back in order.
    """
    count, amount, feat = seq.shape
    left = max(1, int(amount * (1 - fraction)))
    order = torch.rand(
        count, amount, device=seq.device
    ).argsort(dim=1)
    inverse = order.argsort(dim=1)
    remaining = seq.gather(
        1,
        order[:, :left, None].expand(-1, -1, feat),
    )
    gone = (inverse >= left).float()
    return remaining, gone, inverse


def stack_layers(
    width: int,
    num_heads: int,
    layers: int,
    expansion: float,
) -> nn.Sequential:
    """A pile of attention layers (norm comes first, nothing is dropped) and a norm on top."""
    pile = [
        nn.TransformerEncoderLayer(
            width,
            num_heads,
            int(width * expansion),
            dropout=0.0,
            activation="gelu",
            layer_norm_eps=1e-6,
            batch_first=True,
            norm_first=True,
        )
        for _ in range(layers)
    ]
    return nn.Sequential(
        *pile,
        nn.LayerNorm(width, eps=1e-6),
    )


def reset_linear(part: nn.Module) -> None:
    if isinstance(part, nn.Linear):
        nn.init.xavier_uniform_(part.weight)
        if part.bias is not None:
            nn.init.zeros_(part.bias)


class Trunk(nn.Module):
    def __init__(self, opts: FillSettings):
        super().__init__()
        self.opts = opts
        self.tile_proj = nn.Linear(
            opts.tile ** 2 * opts.colours,
            opts.width,
        )
        self.summary_slot = nn.Parameter(
            torch.zeros(1, 1, opts.width)
        )
        self.register_buffer(
            "where",
            wave_table(opts.width, opts.side),
            persistent=False,
        )
        self.tower = stack_layers(
            opts.width,
            opts.num_heads,
            opts.layers,
            opts.expansion,
        )
        self.apply(reset_linear)
        nn.init.normal_(self.summary_slot, std=0.02)

    def forward(self, pictures: Tensor, hide_fraction: float = 0.0):
        seq = (
            self.tile_proj(cut_tiles(pictures, self.opts.tile))
            + self.where[:, 1:]
        )
        gone = inverse = None
        if hide_fraction > 0:
            seq, gone, inverse = drop_tiles(seq, hide_fraction)
        summary = (
            self.summary_slot + self.where[:, :1]
        ).expand(seq.shape[0], -1, -1)
        seq = torch.cat(
            [summary, seq],
            dim=1,
        )
        return self.tower(seq), gone, inverse


class Painter(nn.Module):
    def __init__(self, opts: FillSettings):
        super().__init__()
        self.narrow = nn.Linear(
            opts.width,
            opts.painter_width,
        )
        self.blank_slot = nn.Parameter(
            torch.zeros(1, 1, opts.painter_width)
        )
        self.register_buffer(
            "where",
            wave_table(opts.painter_width, opts.side),
            persistent=False,
        )
        self.tower = stack_layers(
            opts.painter_width,
            opts.painter_heads,
            opts.painter_layers,
            opts.expansion,
        )
        self.to_pixels = nn.Linear(
            opts.painter_width,
            opts.tile ** 2 * opts.colours,
        )
        self.apply(reset_linear)
        nn.init.normal_(self.blank_slot, std=0.02)

    def forward(self, code: Tensor, inverse: Tensor) -> Tensor:
        seq = self.narrow(code)
        count, present, feat = seq.shape
        blanks = self.blank_slot.to(seq.dtype).expand(
            count,
            inverse.shape[1] + 1 - present,
            feat,
        )
        tiles = torch.cat(
            [seq[:, 1:], blanks],
            dim=1,
        )
        tiles = tiles.gather(
            1,
            inverse[..., None].expand(-1, -1, feat),
        )
        seq = torch.cat(
            [seq[:, :1], tiles],
            dim=1,
        ) + self.where
        return self.to_pixels(self.tower(seq))[:, 1:]


class PatchFiller(nn.Module):
    def __init__(self, opts: FillSettings):
        super().__init__()
        self.opts = opts
        self.trunk = Trunk(opts)
        self.painter = Painter(opts)

    def forward(
        self,
        pictures: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        code, gone, inverse = self.trunk(
            pictures, self.opts.hide_fraction
        )
        guess = self.painter(code, inverse)
        return self.penalty(pictures, guess, gone), guess, gone

    def penalty(
        self,
        pictures: Tensor,
        guess: Tensor,
        gone: Tensor,
    ) -> Tensor:
        truth = cut_tiles(pictures, self.opts.tile)
        if self.opts.whiten:
            centre = truth.mean(dim=-1, keepdim=True)
            spread = truth.var(dim=-1, keepdim=True)
            truth = (truth - centre) / (spread + 1e-6).sqrt()
        gap = (guess.float() - truth).pow(2).mean(dim=-1)
        return (gap * gone).sum() / gone.sum()


class Tagger(nn.Module):
    """Trunk plus one affine layer that reads the average tile vector."""

    def __init__(self, opts: FillSettings, labels: int):
        super().__init__()
        self.trunk = Trunk(opts)
        self.scorer = nn.Linear(opts.width, labels)
        nn.init.trunc_normal_(self.scorer.weight, std=0.01)
        nn.init.zeros_(self.scorer.bias)

    def forward(self, pictures: Tensor) -> Tensor:
        seq, _, _ = self.trunk(pictures)
        return self.scorer(
            seq[:, 1:].mean(dim=1)
        )
