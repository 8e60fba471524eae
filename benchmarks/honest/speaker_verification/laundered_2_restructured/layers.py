"""Parts the talker network is put together from."""
import torch
from torch import nn


def conv_unit(inputs, outputs, dilation=1, size=1):
    """Same-length convolution, activation, normalisation."""
    conv = nn.Conv1d(inputs, outputs, size, padding=size // 2 * dilation, dilation=dilation)
    return nn.Sequential(conv, nn.ReLU(), nn.BatchNorm1d(outputs))


class SplitCascade(nn.Module):
    """Channel groups, each convolved together with the result of its neighbour."""

    def __init__(self, width, dilation, size, groups=8):
        super().__init__()
        per_group, left_over = divmod(width, groups)
        if left_over != 0:
            raise ValueError(f"{width} channels cannot be cut into {groups} equal groups")
        self.per_group = per_group
        self.stages = nn.ModuleList()
        for _ in range(1, groups):
            self.stages.append(conv_unit(per_group, per_group, dilation, size))

    def forward(self, x):
        groups = list(torch.split(x, self.per_group, dim=1))
        for i, stage in enumerate(self.stages, start=1):
            source = groups[i] if i == 1 else groups[i] + groups[i - 1]
            groups[i] = stage(source)
        return torch.cat(groups, 1)


class ResidualUnit(nn.Module):
    """Cascade between two pointwise units, channel gating, then the shortcut."""

    def __init__(self, width, dilation=2, size=3, groups=8, gate_width=128):
        super().__init__()
        self.enter = conv_unit(width, width)
        self.cascade = SplitCascade(width, dilation, size, groups)
        self.leave = conv_unit(width, width)
        self.gate = nn.Sequential(
            nn.Linear(width, gate_width),
            nn.ReLU(),
            nn.Linear(gate_width, width),
            nn.Sigmoid(),
        )

    def forward(self, x):
        y = self.leave(self.cascade(self.enter(x)))
        return torch.mul(y, self.gate(y.mean(-1))[..., None]) + x


def mean_and_deviation(x, weights):
    first = torch.sum(weights * x, dim=-1)
    second = torch.sum(weights * x.square(), dim=-1)
    variance = second - first.square()
    return torch.cat((first, torch.sqrt(variance.clamp_min(1e-6))), dim=1)


class AttentionPool(nn.Module):
    """Mean and deviation over time, with a learned weight per channel and frame."""

    def __init__(self, width, hidden=128):
        super().__init__()
        self.hidden = conv_unit(3 * width, hidden)
        self.logits = nn.Conv1d(hidden, width, kernel_size=1)

    def forward(self, x):
        length = x.size(-1)
        # the whole utterance is put beside every frame
        overall = mean_and_deviation(x, 1.0 / length)[..., None].repeat(1, 1, length)
        hidden = torch.tanh(self.hidden(torch.cat((x, overall), dim=1)))
        return mean_and_deviation(x, torch.softmax(self.logits(hidden), dim=-1))
