"""Layers of the labeler and the function that puts the whole model together."""
import torch
from torch import nn

from ops import group_around, pick_spread_out, take_rows

# name -> one row per level: seeds, radii, neighbours, channels
VARIANTS = {
    "single": [
        dict(seeds=512, radii=[0.2], ks=[32], mlps=[[64, 64, 128]]),
        dict(seeds=128, radii=[0.4], ks=[64], mlps=[[128, 128, 256]]),
    ],
    "multi": [
        dict(seeds=512, radii=[0.1, 0.2, 0.4], ks=[16, 32, 96],
             mlps=[[32, 32, 64], [64, 64, 128], [64, 96, 128]]),
        dict(seeds=128, radii=[0.2, 0.4, 0.8], ks=[32, 64, 96],
             mlps=[[64, 64, 128], [128, 128, 256], [128, 128, 256]]),
    ],
}
SUMMARY_CHANNELS = [256, 512, 1024]


def conv_stack(channels, n_in):
    """1x1 convolution, normalisation and activation for each entry of `channels`."""
    if len(channels) == 0:
        raise ValueError("conv_stack was given an empty list of channels")
    stack = nn.Sequential()
    for i, (a, b) in enumerate(zip([n_in, *channels[:-1]], channels)):
        stack.add_module(f"conv{i}", nn.Conv2d(a, b, kernel_size=1, bias=False))
        stack.add_module(f"norm{i}", nn.BatchNorm2d(b))
        stack.add_module(f"act{i}", nn.ReLU(inplace=True))
    return stack


def pool_groups(stack, groups):
    """(B, S, K, C) -> (B, S, C'), taking the maximum over K."""
    channels_first = torch.movedim(groups, -1, 1)
    best = torch.max(stack(channels_first), dim=-1).values
    return best.permute(0, 2, 1)


def dense_head(n_out, n_in, p):
    modules = []
    for size in (512, 256):
        modules.extend((nn.Linear(n_in, size), nn.BatchNorm1d(size), nn.ReLU(), nn.Dropout(p=p)))
        n_in = size
    modules.append(nn.Linear(n_in, n_out))
    return nn.Sequential(*modules)


class Downsample(nn.Module):
    def __init__(self, n_in, seeds, radii, ks, mlps):
        super().__init__()
        self.seeds = seeds
        self.balls = list(zip(ks, radii))
        self.n_out = 0
        self.stacks = nn.ModuleList()
        for channels in mlps:
            self.stacks.append(conv_stack(channels, 3 + n_in))
            self.n_out += channels[-1]

    def forward(self, xyz, extra=None):
        seeds = take_rows(pick_spread_out(self.seeds, xyz), xyz)
        per_ball = [
            pool_groups(stack, group_around(seeds, xyz, extra, k, r))
            for stack, (k, r) in zip(self.stacks, self.balls)
        ]
        return seeds, torch.cat(per_ball, dim=2)


class Labeler(nn.Module):
    def __init__(self, n_labels, p, variant):
        super().__init__()
        if (levels := VARIANTS.get(variant)) is None:
            raise ValueError(f"no variant called {variant!r}, known are: {', '.join(sorted(VARIANTS))}")
        n_feat = 0
        self.down = nn.ModuleList()
        for level in levels:
            block = Downsample(n_feat, **level)
            self.down.append(block)
            n_feat = block.n_out
        self.summarise = conv_stack(SUMMARY_CHANNELS, n_feat + 3)
        self.classify = dense_head(n_labels, SUMMARY_CHANNELS[-1], p)

    def forward(self, xyz):
        extra = None
        for block in self.down:
            xyz, extra = block(xyz, extra)
        everything = torch.cat((xyz, extra), dim=2)[:, None]
        vector = pool_groups(self.summarise, everything)[:, 0]
        return self.classify(vector)
