"""Turns pictures into grids of integer tiles and back again."""

import torch
import torch.nn.functional as F
from torch import nn


class SkipUnit(nn.Module):

    def __init__(self, n_feat):
        super().__init__()
        self.path = nn.Sequential(
            nn.GroupNorm(8, n_feat),
            nn.SiLU(),
            nn.Conv2d(n_feat, n_feat, 3, padding=1),
            nn.GroupNorm(8, n_feat),
            nn.SiLU(),
            nn.Conv2d(n_feat, n_feat, 1),
        )

    def forward(self, inp):
        return inp + self.path(inp)


class TileTable(nn.Module):
    """A table of prototype vectors, refreshed with exponential averages of what was assigned to them."""

    def __init__(
        self,
        n_entries,
        n_dims,
        momentum=0.99,
        revive_under=0.5,
        tiny=1e-5,
    ):
        super().__init__()
        self.n_entries, self.momentum, self.revive_under, self.tiny = (
            n_entries,
            momentum,
            revive_under,
            tiny,
        )
        prototypes = torch.randn(n_entries, n_dims)
        self.register_buffer("prototypes", prototypes)
        self.register_buffer("hits", torch.ones(n_entries))
        self.register_buffer("mass", prototypes.clone())

    def match(self, rows):
        gaps = (
            rows.pow(2).sum(1, keepdim=True)
            - 2 * rows @ self.prototypes.t()
            + self.prototypes.pow(2).sum(1)
        )
        return gaps.argmin(1)

    def fetch(self, grid):
        """Replace every integer of the grid by its prototype, channels first."""
        return F.embedding(grid, self.prototypes).permute(0, 3, 1, 2)

    @torch.no_grad()
    def refresh(self, rows, membership):
        self.hits.lerp_(membership.sum(0), 1 - self.momentum)
        self.mass.lerp_(membership.t() @ rows, 1 - self.momentum)
        all_hits = self.hits.sum()
        weights = (
            (self.hits + self.tiny)
            / (all_hits + self.n_entries * self.tiny)
            * all_hits
        )
        self.prototypes.copy_(self.mass / weights.unsqueeze(1))

        idle = (self.hits < self.revive_under).nonzero().squeeze(1)
        if len(idle):
            # give idle entries a fresh start from the current data
            fresh = rows[
                torch.randint(len(rows), (len(idle),), device=rows.device)
            ]
            self.prototypes[idle] = fresh
            self.mass[idle] = fresh
            self.hits[idle] = 1.0
        return len(idle)

    def forward(self, feats):
        n, c, rows_h, cols_w = feats.shape
        rows = feats.detach().permute(0, 2, 3, 1).reshape(-1, c).float()
        grid = self.match(rows)
        membership = F.one_hot(grid, self.n_entries).float()
        grid = grid.view(n, rows_h, cols_w)
        snapped = self.fetch(grid)
        revived = self.refresh(rows, membership) if self.training else 0

        pull = F.mse_loss(feats, snapped)
        freq = membership.mean(0)
        spread = torch.exp(-(freq * (freq + 1e-10).log()).sum())
        out = feats + (snapped - feats).detach()
        return out, grid, pull, {
            "spread": spread.item(),
            "revived": revived,
        }


class MosaicNet(nn.Module):
    """Picture -> tiles -> picture; one tile stands for a 4x4 patch of pixels."""

    def __init__(
        self,
        in_planes=3,
        n_feat=128,
        tile_dim=64,
        n_tiles=512,
        n_units=2,
    ):
        super().__init__()
        self.hparams = dict(
            in_planes=in_planes,
            n_feat=n_feat,
            tile_dim=tile_dim,
            n_tiles=n_tiles,
            n_units=n_units,
        )
        self.down = nn.Sequential(
            nn.Conv2d(in_planes, n_feat // 2, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(n_feat // 2, n_feat, 4, stride=2, padding=1),
            *[SkipUnit(n_feat) for _ in range(n_units)],
            nn.GroupNorm(8, n_feat),
            nn.SiLU(),
            nn.Conv2d(n_feat, tile_dim, 1),
        )
        self.table = TileTable(n_tiles, tile_dim)
        self.up = nn.Sequential(
            nn.Conv2d(tile_dim, n_feat, 3, padding=1),
            *[SkipUnit(n_feat) for _ in range(n_units)],
            nn.GroupNorm(8, n_feat),
            nn.SiLU(),
            nn.ConvTranspose2d(n_feat, n_feat // 2, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.ConvTranspose2d(n_feat // 2, in_planes, 4, stride=2, padding=1),
        )

    def forward(self, pics):
        feats, _, pull, stats = self.table(self.down(pics))
        return self.up(feats), pull, stats

    @torch.no_grad()
    def to_tiles(self, pics):
        feats = self.down(pics)
        rows = feats.permute(0, 2, 3, 1).reshape(-1, feats.shape[1])
        return self.table.match(rows).view(len(pics), *feats.shape[2:])

    @torch.no_grad()
    def to_pics(self, grid):
        return self.up(self.table.fetch(grid)).clamp(-1, 1)
