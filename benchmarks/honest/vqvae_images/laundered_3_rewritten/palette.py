"""A palette of dots, kept up to date by counting and never by a gradient."""
from typing import NamedTuple

import torch


class Rounding(NamedTuple):
    values: torch.Tensor      # what goes on to the decoder
    labels: torch.Tensor      # which dot stands at each place
    distance: torch.Tensor    # mean squared way from the input to its dot
    dots_in_play: float       # exponential of the label entropy
    reseeded: int             # dots thrown onto the data this time


class _CopyGradient(torch.autograd.Function):
    """Hands on the rounded values; on the way back behaves as if nothing had been rounded."""

    @staticmethod
    def forward(ctx, exact, rounded):
        return rounded.clone()

    @staticmethod
    def backward(ctx, incoming):
        return incoming, None


class Palette(torch.nn.Module):
    MEMORY = 0.99
    STARVING = 0.5
    PSEUDO = 1e-5
    CHUNK = 16384

    def __init__(self, how_many, dot_size):
        super().__init__()
        # One ledger for everything: vector sums in the first columns, the tally in the last.
        first = torch.randn(how_many, dot_size)
        self.register_buffer("ledger", torch.hstack([first, torch.ones(how_many, 1)]))
        self.register_buffer("dots", first.clone())

    @torch.no_grad()
    def label(self, planes):
        """Index of the closest dot for every place of (N, D, H, W) planes.

        |v - c|^2 orders the dots as |c|^2 / 2 - v.c does, so the term of v is never formed.
        """
        n, d, h, w = planes.shape
        vectors = torch.einsum("ndhw->nhwd", planes).reshape(n * h * w, d).float()
        bias = torch.einsum("kd,kd->k", self.dots, self.dots) / 2
        answers = [torch.addmm(bias, part, self.dots.mT, alpha=-1).min(dim=1).indices
                   for part in vectors.split(self.CHUNK)]
        return torch.cat(answers).unflatten(0, (n, h, w)), vectors

    def paint(self, labels):
        n, h, w = labels.shape
        picked = self.dots.T.index_select(1, labels.reshape(-1))
        return picked.unflatten(1, (n, h, w)).transpose(0, 1)

    @torch.no_grad()
    def learn(self, vectors, labels, tally):
        how_many, dot_size = self.dots.shape
        seen = torch.zeros_like(self.ledger)
        seen[:, :dot_size].index_add_(0, labels, vectors)
        seen[:, dot_size] = tally
        self.ledger.copy_(self.MEMORY * self.ledger + (1 - self.MEMORY) * seen)

        sums, counts = self.ledger.split([dot_size, 1], dim=1)
        everything = counts.sum()
        shrink = everything / (everything + how_many * self.PSEUDO)
        self.dots.copy_(sums / ((counts + self.PSEUDO) * shrink))

        starving = counts[:, 0] < self.STARVING
        lost = int(starving.sum())
        if lost:
            lucky = torch.randint(vectors.shape[0], [lost], device=vectors.device)
            seeds = vectors[lucky]
            self.dots[starving] = seeds
            self.ledger[starving] = torch.nn.functional.pad(seeds, (0, 1), value=1.0)
        return lost

    def forward(self, planes):
        labels, vectors = self.label(planes.detach())
        flat = labels.reshape(-1)
        tally = torch.bincount(flat, minlength=self.dots.shape[0]).float()
        rounded = self.paint(labels).clone()
        lost = self.learn(vectors, flat, tally) if self.training else 0

        odds = tally / flat.numel()
        in_play = 2 ** -(odds @ torch.log2(odds + 1e-10)).item()
        return Rounding(
            values=_CopyGradient.apply(planes, rounded),
            labels=labels,
            distance=torch.square(rounded - planes).mean(),
            dots_in_play=in_play,
            reseeded=lost,
        )
