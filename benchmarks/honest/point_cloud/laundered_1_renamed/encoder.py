"""
Multi-level point encoder and the shape recogniser that sits on top of it.
"""

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class BallSpec:
    reach: float
    max_members: int
    channels: tuple


class XyzOps:
    """Picking and grouping helpers; everything is batch first, channels last."""

    @staticmethod
    def pick(tensor, idx):
        rows = torch.arange(
            tensor.shape[0],
            device=tensor.device,
        )
        return tensor[
            rows.view(-1, *[1] * (idx.dim() - 1)),
            idx,
        ]

    @staticmethod
    @torch.no_grad()
    def fps(xyz, n_out):
        bs, n_in, _ = xyz.shape
        if n_out > n_in:
            raise ValueError(
                f'Cannot sample {n_out} centroids out of {n_in} points'
            )
        # indices kept so far
        kept = torch.empty(
            bs, n_out,
            dtype=torch.long,
            device=xyz.device,
        )
        # squared distance from each point to the kept set
        min_sq = torch.full(
            (bs, n_in),
            float('inf'),
            device=xyz.device,
        )
        cur = torch.randint(n_in, (bs,), device=xyz.device)
        for k in range(n_out):
            kept[:, k] = cur
            ref = XyzOps.pick(xyz, cur.unsqueeze(1))
            min_sq = torch.minimum(
                min_sq,
                (xyz - ref).square().sum(-1),
            )
            cur = min_sq.argmax(dim=1)
        return kept

    @staticmethod
    @torch.no_grad()
    def neighbours_within(xyz, seeds, reach, cap):
        """
        Closest `cap` indices for each seed.

        Slots lying outside `reach` are filled with the first index.
        """
        dist, rank = torch.cdist(seeds, xyz).topk(
            min(cap, xyz.shape[1]),
            dim=-1,
            largest=False,
        )
        return torch.where(
            dist > reach,
            rank[..., :1],
            rank,
        )


class PointwiseMLP(nn.Module):
    """Stack of 1x1 convolutions followed by a max over the group members."""

    def __init__(self, c_in, channels):
        super().__init__()
        if not channels:
            raise ValueError('A shared perceptron needs at least one layer width')
        blocks = []
        for c_out in channels:
            blocks += [
                nn.Conv2d(c_in, c_out, 1, bias=False),
                nn.BatchNorm2d(c_out),
                nn.ReLU(inplace=True),
            ]
            c_in = c_out
        self.net = nn.Sequential(*blocks)
        self.c_out = c_in

    def forward(self, x):
        return (
            self.net(x.permute(0, 3, 1, 2))
            .amax(dim=3)
            .transpose(1, 2)
        )


class EncoderLevel(nn.Module):

    def __init__(self, n_seeds, c_feat, balls):
        super().__init__()
        self._n_seeds, self._balls = n_seeds, balls
        self.branches = nn.ModuleList(
            PointwiseMLP(c_feat + 3, ball.channels)
            for ball in balls
        )
        self.c_out = sum(
            branch.c_out
            for branch in self.branches
        )

    def forward(self, xyz, feats):
        seed_idx = XyzOps.fps(xyz, self._n_seeds)
        seeds = XyzOps.pick(xyz, seed_idx)
        outs = []
        for ball, branch in zip(self._balls, self.branches):
            nb_idx = XyzOps.neighbours_within(
                xyz,
                seeds,
                ball.reach,
                ball.max_members,
            )
            # offsets relative to the seed
            local = XyzOps.pick(xyz, nb_idx) - seeds.unsqueeze(2)
            if feats is not None:
                local = torch.cat(
                    [local, XyzOps.pick(feats, nb_idx)],
                    dim=-1,
                )
            outs.append(branch(local))
        return seeds, torch.cat(outs, dim=-1)


class ShapeLogits(nn.Sequential):

    def __init__(self, c_in, n_labels, p_drop):
        super().__init__(
            nn.Linear(c_in, 512),
            nn.BatchNorm1d(512),
            nn.ReLU(),
            nn.Dropout(p_drop),
            nn.Linear(512, 256),
            nn.BatchNorm1d(256),
            nn.ReLU(),
            nn.Dropout(p_drop),
            nn.Linear(256, n_labels),
        )


class ShapeNet3D(nn.Module):

    def __init__(self, n_labels, levels, p_drop):
        super().__init__()
        self.levels = nn.ModuleList(levels)
        c_last = levels[-1].c_out
        self.summary = PointwiseMLP(
            c_last + 3,
            (256, 512, 1024),
        )
        self.logits = ShapeLogits(1024, n_labels, p_drop)

    def forward(self, xyz):
        feats = None
        for level in self.levels:
            xyz, feats = level(xyz, feats)
        merged = torch.cat(
            [xyz, feats],
            dim=-1,
        ).unsqueeze(1)
        return self.logits(
            self.summary(merged).squeeze(1)
        )


class ShapeNetBuilder:

    _LAYOUTS = {
        'single': (
            (
                512,
                (
                    BallSpec(0.2, 32, (64, 64, 128)),
                ),
            ),
            (
                128,
                (
                    BallSpec(0.4, 64, (128, 128, 256)),
                ),
            ),
        ),
        'multi': (
            (
                512,
                (
                    BallSpec(0.1, 16, (32, 32, 64)),
                    BallSpec(0.2, 32, (64, 64, 128)),
                    BallSpec(0.4, 96, (64, 96, 128)),
                ),
            ),
            (
                128,
                (
                    BallSpec(0.2, 32, (64, 64, 128)),
                    BallSpec(0.4, 64, (128, 128, 256)),
                    BallSpec(0.8, 96, (128, 128, 256)),
                ),
            ),
        ),
    }

    @classmethod
    def build(cls, layout, n_labels, p_drop):
        if layout not in cls._LAYOUTS:
            raise ValueError(
                f"Unknown grouping '{layout}'; choose from {sorted(cls._LAYOUTS)}"
            )
        levels, c_prev = [], 0
        for n_seeds, balls in cls._LAYOUTS[layout]:
            levels.append(
                EncoderLevel(n_seeds, c_prev, balls)
            )
            c_prev = levels[-1].c_out
        return ShapeNet3D(n_labels, levels, p_drop)
