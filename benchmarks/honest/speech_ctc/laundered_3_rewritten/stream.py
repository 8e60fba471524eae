"""The one value that travels through the network: channels-first signals with their true extents."""

from typing import NamedTuple

import torch
from torch import nn


class Stream(NamedTuple):
    data: torch.Tensor  # (items, channels, ticks)
    extent: torch.Tensor  # (items,) integers

    @property
    def live(self):
        """(items, 1, ticks), one where there is signal and zero after it."""
        ticks = torch.arange(1, self.data.shape[-1] + 1, device=self.data.device)
        return ticks.le(self.extent.view(-1, 1, 1)).to(self.data.dtype)

    def silence(self):
        return self._replace(data=self.data * self.live)


def gather_streams(signals):
    """Signals (n,) of different sizes -> one stream with a single channel."""
    packed = nn.utils.rnn.pad_sequence(list(signals)).T.unsqueeze(1)
    return Stream(packed, torch.tensor(list(map(len, signals))))


class ChannelNorm(nn.Module):
    """Every tick is normalised over its channels."""

    def __init__(self, channels):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels, 1))
        self.offset = nn.Parameter(torch.zeros(channels, 1))

    def forward(self, x):
        x = x - x.mean(1, keepdim=True)
        return x / (x.pow(2).mean(1, keepdim=True) + 1e-5).sqrt() * self.gain + self.offset


def pointwise(n_in, n_out):
    return nn.Conv1d(n_in, n_out, 1)
