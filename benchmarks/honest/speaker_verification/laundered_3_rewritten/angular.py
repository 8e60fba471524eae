"""Classification on the sphere with a wider angle to the right class."""
from math import pi, sin, sqrt

import torch
from torch.nn import Module, Parameter


def unit(rows):
    return rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-12)


def penalised(cosine, extra, gentle):
    angle = torch.acos(cosine)
    turned = torch.cos(angle + extra)
    if gentle:
        within, otherwise = angle < pi / 2, cosine
    else:
        # past half a turn cos() rises again, a parallel to the diagonal does not
        within, otherwise = angle < pi - extra, cosine - extra * sin(extra)
    return torch.where(within, turned, otherwise)


class SphereLoss(Module):
    def __init__(self, shape, extra=0.2, sharpness=30.0, gentle=False):
        """`shape` is (number of people, size of a voice print)."""
        super().__init__()
        self.directions = Parameter(torch.randn(shape) * sqrt(2.0 / sum(shape)))
        self.extra = extra
        self.sharpness = sharpness
        self.gentle = gentle

    def forward(self, prints, person):
        cosines = torch.einsum("bd,nd->bn", unit(prints), unit(self.directions))
        rows = torch.arange(len(person), device=person.device)
        edge = 1 - 1e-7
        own = penalised(cosines[rows, person].clamp(-edge, edge), self.extra, self.gentle)
        competing = cosines.index_put((rows, person), own).mul(self.sharpness)
        loss = torch.mean(competing.logsumexp(dim=1) - own * self.sharpness)
        guesses = cosines.max(dim=1).indices
        return {"loss": loss, "accuracy": guesses.eq(person).sum() / len(person)}
