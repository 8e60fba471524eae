'''The network that turns a voice into a vector, with its margin-based classifier.'''

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class TemporalUnit(nn.Sequential):
    '''Length-preserving convolution over time followed by activation and normalisation.'''

    def __init__(self, n_in, n_out, taps=1, spacing=1):
        super().__init__(
            nn.Conv1d(
                n_in,
                n_out,
                taps,
                dilation=spacing,
                padding=spacing * (taps // 2),
            ),
            nn.ReLU(),
            nn.BatchNorm1d(n_out),
        )


class HierarchicalConv(nn.Module):
    '''Slices of the channel axis are filtered one after another, each fed with its forerunner.'''

    def __init__(self, n_channels, taps, spacing, n_slices=8):
        super().__init__()
        if n_channels % n_slices:
            raise ValueError(
                f'channels ({n_channels}) must be divisible by scale ({n_slices})'
            )
        slice_size = n_channels // n_slices
        self.n_slices = n_slices
        self.units = nn.ModuleList(
            TemporalUnit(slice_size, slice_size, taps, spacing)
            for _ in range(n_slices - 1)
        )

    def forward(self, inp):
        head_slice, *others = inp.chunk(self.n_slices, dim=1)
        pieces = [head_slice]
        last = None
        for piece, unit in zip(others, self.units):
            last = unit(piece if last is None else piece + last)
            pieces.append(last)
        return torch.cat(pieces, dim=1)


class ChannelGate(nn.Module):

    def __init__(self, n_channels, narrow=128):
        super().__init__()
        self.reduce = nn.Linear(n_channels, narrow)
        self.restore = nn.Linear(narrow, n_channels)

    def forward(self, inp):
        weights = torch.sigmoid(
            self.restore(
                F.relu(self.reduce(inp.mean(dim=2)))
            )
        )
        return inp * weights.unsqueeze(2)


class ResidualStage(nn.Module):

    def __init__(self, n_channels, taps=3, spacing=2, n_slices=8):
        super().__init__()
        self.path = nn.Sequential(
            TemporalUnit(n_channels, n_channels),
            HierarchicalConv(n_channels, taps, spacing, n_slices),
            TemporalUnit(n_channels, n_channels),
            ChannelGate(n_channels),
        )

    def forward(self, inp):
        return inp + self.path(inp)


class WeightedStatsPool(nn.Module):
    '''Summarises a sequence by its attention-weighted first and second order statistics.

    Global statistics of the sequence are shown to the scorer next to every step.
    '''

    def __init__(self, n_channels, inner=128):
        super().__init__()
        self.scorer = nn.Sequential(
            TemporalUnit(n_channels * 3, inner),
            nn.Tanh(),
            nn.Conv1d(inner, n_channels, 1),
        )

    @staticmethod
    def weighted_stats(inp, attention):
        centre = (inp * attention).sum(dim=2)
        spread = (inp.pow(2) * attention).sum(dim=2) - centre.pow(2)
        return centre, spread.clamp(min=1e-6).sqrt()

    def forward(self, inp):
        steps = inp.shape[2]
        centre, spread = self.weighted_stats(inp, 1.0 / steps)
        overview = (
            torch.cat([centre, spread], dim=1)
            .unsqueeze(2)
            .expand(-1, -1, steps)
        )
        attention = self.scorer(
            torch.cat([inp, overview], dim=1)
        ).softmax(dim=2)
        return torch.cat(self.weighted_stats(inp, attention), dim=1)


class VoiceEncoder(nn.Module):
    '''From a batch of spectrograms to a batch of vectors.'''

    def __init__(
        self,
        bands=80,
        n_channels=512,
        vector_size=192,
        spacings=(2, 3, 4),
    ):
        super().__init__()
        self.entry = TemporalUnit(bands, n_channels, taps=5)
        self.stages = nn.ModuleList(
            ResidualStage(n_channels, spacing=s)
            for s in spacings
        )
        merged = 1536
        self.merge = nn.Sequential(
            nn.Conv1d(n_channels * len(spacings), merged, 1),
            nn.ReLU(),
        )
        self.summary = WeightedStatsPool(merged)
        self.projection = nn.Sequential(
            nn.BatchNorm1d(merged * 2),
            nn.Linear(merged * 2, vector_size),
            nn.BatchNorm1d(vector_size),
        )

    def forward(self, logmels):
        out = self.entry(logmels)
        running = out
        kept = []
        for stage in self.stages:
            out = stage(running)
            kept.append(out)
            running = running + out  # running total of all that came earlier
        return self.projection(
            self.summary(
                self.merge(torch.cat(kept, dim=1))
            )
        )


class MarginClassifier(nn.Module):

    def __init__(
        self,
        vector_size,
        n_voices,
        angle=0.2,
        temperature=30.0,
        relaxed=False,
    ):
        super().__init__()
        self.prototypes = nn.Parameter(torch.empty(n_voices, vector_size))
        nn.init.xavier_normal_(self.prototypes)
        self.angle, self.temperature, self.relaxed = angle, temperature, relaxed

    def forward(self, vectors, truth):
        '''Gives the batch loss, and how often the plain similarity picks the right voice.'''
        similarity = F.linear(
            F.normalize(vectors),
            F.normalize(self.prototypes),
        )
        own = similarity.gather(1, truth[:, None]).clamp(-1 + 1e-7, 1 - 1e-7)
        opposite = (1 - own.pow(2)).sqrt()
        moved = own * math.cos(self.angle) - opposite * math.sin(self.angle)
        if self.relaxed:
            # acute angles only
            moved = torch.where(own > 0, moved, own)
        else:
            # beyond this point use a straight line so the penalty stays monotonic
            turning = math.cos(math.pi - self.angle)
            straight = own - self.angle * math.sin(self.angle)
            moved = torch.where(own > turning, moved, straight)
        outputs = self.temperature * similarity.scatter(1, truth[:, None], moved)
        hits = (similarity.argmax(dim=1) == truth).float().mean()
        return F.cross_entropy(outputs, truth), hits
