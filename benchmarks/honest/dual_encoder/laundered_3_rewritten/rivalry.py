"""The price of confusing pairs, where strong rivals weigh more."""

import math

import torch
from torch.nn import functional as F


def others(square):
    """The off-diagonal of (M, M) as (M, M - 1)."""
    side = len(square)
    return square.flatten()[1:].view(side - 1, side + 1)[:, :-1].reshape(side, side - 1) if side > 1 else square[:, :0]


def confusion(guests, hosts, strangers, heat, sternness):
    """log(1 + sum_j w_j exp((s_j - s) / heat)), averaged; w has mean one and grows like exp(sternness s_j)."""
    own = (guests * hosts).sum(1)
    rivals = torch.cat([others(guests @ hosts.T), guests @ strangers.T], dim=1)
    pull = sternness * rivals.detach()
    fame = pull - pull.logsumexp(1, keepdim=True) + math.log(max(rivals.shape[1], 1))
    return F.softplus((fame + rivals / heat).logsumexp(1) - own / heat).mean()


class Archive:
    """What the shadow said lately: a tuple of two matrices, replaced as a whole."""

    def __init__(self, room, space, device):
        self.room = room
        self.shelves = torch.empty(2, 0, space, device=device)

    def extend(self, seen, heard):
        grown = torch.cat([self.shelves, torch.stack([seen, heard])], dim=1)
        self.shelves = grown[:, max(grown.shape[1] - self.room, 0) :]

    def price(self, student, shadow, heat, sternness):
        """Each sense of the student is compared with the other sense of the shadow."""
        crossed = zip(student, reversed(shadow), self.shelves.flip(0))
        return sum(confusion(*trio, heat, sternness) for trio in crossed) / 2
