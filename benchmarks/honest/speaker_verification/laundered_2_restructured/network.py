"""The talker network and the loss it is trained with."""
import math

import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from layers import AttentionPool, ResidualUnit, conv_unit

VECTOR_SIZE = 192
MERGED_WIDTH = 1536


class TalkerNet(nn.Module):
    def __init__(self, width=512, mel_bins=80, vector_size=VECTOR_SIZE, dilations=(2, 3, 4)):
        super().__init__()
        self.units = nn.ModuleList([conv_unit(mel_bins, width, size=5)])
        for dilation in dilations:
            self.units.append(ResidualUnit(width, dilation))
        self.tail = nn.Sequential(
            nn.Conv1d(len(dilations) * width, MERGED_WIDTH, kernel_size=1),
            nn.ReLU(),
            AttentionPool(MERGED_WIDTH),
            nn.BatchNorm1d(2 * MERGED_WIDTH),
            nn.Linear(2 * MERGED_WIDTH, vector_size),
            nn.BatchNorm1d(vector_size),
        )

    def forward(self, maps):
        entry, *residual = self.units
        outputs = [entry(maps)]
        for unit in residual:
            outputs.append(unit(sum(outputs[1:], outputs[0])))
        return self.tail(torch.cat(outputs[1:], dim=1))


def with_margin(cosine, margin, easy):
    """Cosine after widening the angle by the margin."""
    sine = torch.sqrt(1 - cosine.square())
    widened = math.cos(margin) * cosine - math.sin(margin) * sine
    if easy:
        return torch.where(cosine > 0, widened, cosine)
    # keeps the function falling where angle plus margin is more than pi
    linear = cosine - math.sin(margin) * margin
    return torch.where(cosine > math.cos(math.pi - margin), widened, linear)


class AngularLoss(nn.Module):
    def __init__(self, talkers, vector_size=VECTOR_SIZE, factor=30.0, margin=0.2, easy=False):
        super().__init__()
        self.easy = easy
        self.margin = margin
        self.factor = factor
        self.anchors = nn.Parameter(nn.init.xavier_normal_(torch.empty(talkers, vector_size)))

    def forward(self, targets, vectors):
        cosines = normalize(vectors, dim=1) @ normalize(self.anchors, dim=1).t()
        with torch.no_grad():
            correct = torch.eq(cosines.argmax(dim=-1), targets).float().mean()
        column = targets.unsqueeze(1)
        own = torch.gather(cosines, 1, column).clamp(min=-1 + 1e-7, max=1 - 1e-7)
        adjusted = cosines.scatter(1, column, with_margin(own, self.margin, self.easy))
        return correct, cross_entropy(adjusted * self.factor, targets)
