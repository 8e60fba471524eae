"""One reader for both kinds of sequence; pictures and sentences differ in how they become one."""

import math
from itertools import chain

import torch
from torch import nn
from torch.nn import functional as F

SIZES = dict(side=112, cell=14, spare=4, breadth=256, gazes=4, picture_floors=8, sentence_floors=6, longest=96, space=192)
NOTHING = 256


def spread(*shape, by):
    return nn.Parameter(torch.randn(shape) * by)


class Reader(nn.Module):
    """Floors of attention and expansion. `alive` (M, T) says what may be read, `say` (M, T) what is averaged."""

    def __init__(self, floors, breadth, gazes, space):
        super().__init__()
        self.floors, self.gazes = floors, gazes
        narrow, thin = breadth**-0.5, (2 * floors * breadth) ** -0.5
        self.ask = spread(floors, breadth, breadth, by=narrow)
        self.offer = spread(floors, breadth, breadth, by=narrow)
        self.hold = spread(floors, breadth, breadth, by=narrow)
        self.bring = spread(floors, breadth, breadth, by=thin)
        self.swell = spread(floors, breadth, 4 * breadth, by=narrow)
        self.settle = spread(floors, 4 * breadth, breadth, by=thin / 2)
        self.swell_shift = nn.Parameter(torch.zeros(floors, 4 * breadth))
        self.settle_shift = nn.Parameter(torch.zeros(floors, breadth))
        self.scale = nn.Parameter(torch.ones(2 * floors + 1, breadth))
        self.shift = nn.Parameter(torch.zeros(2 * floors + 1, breadth))
        self.exit = spread(breadth, space, by=narrow)

    def even(self, stream, which):
        centred = stream - stream.mean(-1, keepdim=True)
        size = centred.square().mean(-1, keepdim=True).add(1e-5).sqrt()
        return centred / size * self.scale[which] + self.shift[which]

    def gaze(self, stream, silence, floor):
        heads = [
            (stream @ matrix[floor]).unflatten(2, (self.gazes, -1)).movedim(2, 0)
            for matrix in (self.ask, self.offer, self.hold)
        ]
        ask, offer, hold = heads
        interest = ask @ offer.mT / math.sqrt(ask.shape[-1]) + silence
        share = torch.exp(interest - interest.logsumexp(-1, keepdim=True))
        return (share @ hold).movedim(0, 2).flatten(2) @ self.bring[floor]

    def forward(self, stream, alive, say):
        silence = torch.zeros(alive.shape, device=stream.device).masked_fill(~alive, -torch.inf)[:, None]
        for floor in range(self.floors):
            stream = stream + self.gaze(self.even(stream, 2 * floor), silence, floor)
            swollen = self.even(stream, 2 * floor + 1) @ self.swell[floor] + self.swell_shift[floor]
            swollen = swollen * (1 + torch.erf(swollen / math.sqrt(2))) / 2
            stream = stream + (swollen @ self.settle[floor] + self.settle_shift[floor])
        spoken = (say[:, None] / say.sum(1)[:, None, None] @ self.even(stream, -1))[:, 0] @ self.exit
        return spoken / spoken.square().sum(-1, keepdim=True).sqrt().clamp(min=1e-8)


class Aligner(nn.Module):
    def __init__(self, **sizes):
        super().__init__()
        self.sizes = {**SIZES, **sizes}
        z = self.sizes
        cells, inside = z["side"] // z["cell"], 3 * z["cell"] ** 2
        self.cell = spread(inside, z["breadth"], by=inside**-0.5)
        self.down = spread(cells, z["breadth"], by=0.02)
        self.across = spread(cells, z["breadth"], by=0.02)
        self.head = spread(1 + z["spare"], z["breadth"], by=0.02)
        self.sign = spread(NOTHING + 1, z["breadth"], by=0.02)
        self.turn = spread(z["longest"], z["breadth"], by=0.02)
        self.viewer = Reader(z["picture_floors"], z["breadth"], z["gazes"], z["space"])
        self.listener = Reader(z["sentence_floors"], z["breadth"], z["gazes"], z["space"])
        self.log_heat = nn.Parameter(torch.tensor(math.log(0.07)))

    def shrinkable(self):
        """(names with weight decay, names without): matrices decay, gains, shifts and the temperature do not."""
        endings = ("shift", "scale", "log_heat")
        lists = [], []
        for name, weight in self.named_parameters():
            lists[name.endswith(endings)].append(weight)
        return lists

    def see(self, pictures):
        z = self.sizes
        cells = F.pixel_unshuffle(pictures * 2 - 1, z["cell"]).flatten(2).mT @ self.cell
        place = (self.down[:, None] + self.across[None]).flatten(0, 1)
        stream = torch.cat([self.head.repeat(len(cells), 1, 1), cells + place], dim=1)
        everything = torch.ones(stream.shape[:2], device=stream.device)
        first = F.one_hot(torch.zeros_like(everything[:, 0], dtype=torch.long), stream.shape[1])
        return self.viewer(stream, everything.bool(), first.float())

    def hear(self, sentences):
        """Takes the strings themselves."""
        rolls = [(sentence or " ").encode()[: self.sizes["longest"]] for sentence in sentences]
        lengths = torch.tensor([len(roll) for roll in rolls])
        alive = torch.arange(int(lengths.max())) < lengths[:, None]
        signs = torch.full(alive.shape, NOTHING)
        signs[alive] = torch.tensor(list(chain.from_iterable(rolls)))
        signs, alive = signs.to(self.sign.device), alive.to(self.sign.device)
        stream = F.embedding(signs, self.sign) + self.turn.narrow(0, 0, alive.shape[1])
        return self.listener(stream, alive, alive.float())
