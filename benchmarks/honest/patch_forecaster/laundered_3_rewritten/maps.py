"""What turns the seen into the unseen: B M L -> B R L Q.

B examples, M rows of memory, L labels, R rows of reach, Q quantile levels.
"""
import math
from copy import deepcopy

import torch
from torch import nn


def uniform(fan_in, *shape):
    bound = fan_in ** -0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


class Mix(nn.Module):
    """Tokens look at each other, then each thinks for itself; both on top of what was there."""

    def __init__(self, width, views, inner, blank):
        super().__init__()
        self.views = views
        self.calm = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.ask = nn.Linear(width, 3 * width)
        self.answer = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.ask.weight)
        for silent in (self.ask.bias, self.answer.bias):
            nn.init.zeros_(silent)
        self.blank = nn.Dropout(blank)
        self.think = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Dropout(blank), nn.Linear(inner, width))

    def look(self, t):
        n, s, w = t.shape
        query, key, value = self.ask(t).unflatten(-1, (3, self.views, w // self.views)).unbind(2)
        match = torch.einsum("nihd,njhd->nhij", query, key) * math.sqrt(self.views / w)
        share = self.blank(match.softmax(-1))
        return self.answer(torch.einsum("nhij,njhd->nihd", share, value).reshape(n, s, w))

    def forward(self, t):
        for calm, act in zip(self.calm, (self.look, self.think)):
            t = t + self.blank(act(calm(t)))
        return t


class Mosaic(nn.Module):
    """Each label alone is laid out in overlapping tiles, and the tiles are mixed."""

    def __init__(self, labels, memory, reach, levels, tile=16, hop=8, width=128, views=8, layers=3, blank=0.2,
                 summary="all"):
        super().__init__()
        if tile > memory:
            raise ValueError(f"a tile of {tile} does not fit into a memory of {memory}")
        tiles = math.ceil((memory - tile) / hop) + 1
        covered = (tiles - 1) * hop + tile
        # beyond its end the memory keeps showing its last row
        self.register_buffer("order", torch.arange(covered).clamp_(max=memory - 1), persistent=False)

        self.slope_shift = nn.Parameter(torch.tensor([[1.0], [0.0]]).repeat(1, labels))
        self.tiler = nn.Conv1d(1, width, kernel_size=tile, stride=hop)
        self.seat = nn.Parameter(torch.randn(tiles, width).mul_(0.02))
        self.blank = nn.Dropout(blank)
        prototype = Mix(width, views, 2 * width, blank)
        self.mixes = nn.Sequential(*(deepcopy(prototype) for _ in range(layers)), nn.LayerNorm(width))

        self.summary = summary
        kept = 1 if summary == "mean" else tiles
        self.speak = uniform(kept * width, kept, width, reach, levels)
        self.accent = uniform(kept * width, reach, levels)

    def levelled(self, seen, tiny=1e-5):
        """The memory free of level and size, and the way back."""
        slope, shift = self.slope_shift
        level = seen.mean(1, keepdim=True)
        size = ((seen - level).square().mean(1, keepdim=True) + tiny).sqrt()

        def back(told):
            told = told.movedim(-1, 1)
            told = (told - shift) / (slope + tiny)
            return (told * size[:, None] + level[:, None]).movedim(1, -1)

        return shift + slope * ((seen - level) / size), back

    def forward(self, seen):
        flat, back = self.levelled(seen)
        strands = flat[:, self.order].mT
        tokens = self.tiler(strands.flatten(0, 1)[:, None]).mT
        tokens = self.mixes(self.blank(tokens + self.seat))
        if self.summary == "mean":
            tokens = tokens.mean(1, keepdim=True)
        told = torch.einsum("ntw,twrq->nrq", self.blank(tokens), self.speak) + self.accent
        return back(told.unflatten(0, strands.shape[:2]).movedim(1, 2))


class Rulers(nn.Module):
    """Straight-line mapping of the slow part and of the quick part.

    The slow part is a centred running mean with the ends held, which is one
    fixed square matrix.
    """

    def __init__(self, memory, reach, levels, span=25):
        super().__init__()
        ahead = torch.arange(span) - (span - 1) // 2
        sources = (torch.arange(memory)[:, None] + ahead).clamp_(0, memory - 1)
        blur = torch.zeros(memory, memory).scatter_add_(1, sources, torch.full(sources.shape, 1 / span))
        self.register_buffer("blur", blur, persistent=False)
        self.slow, self.quick = (uniform(memory, memory, reach, levels) for _ in range(2))
        self.lift = nn.ParameterList(uniform(memory, reach, levels) for _ in range(2))

    def forward(self, seen):
        slow = torch.einsum("mk,bkl->bml", self.blur, seen)
        told = sum(torch.einsum("bml,mrq->brlq", part, ruler)
                   for part, ruler in ((slow, self.slow), (seen - slow, self.quick)))
        return told + sum(self.lift)[:, None]


def echo(memory, reach, levels, cycle):
    """A plain function that says the last cycle again, whatever the level."""
    cycle = min(cycle, memory)
    rows = [memory - cycle + step % cycle for step in range(reach)]
    return lambda seen: torch.stack([seen[:, rows]] * levels, dim=-1)
