"""Invertible building blocks. Every flow step maps (x, logdet) -> (y, logdet) and back."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def squeeze(x):
    """Trade each 2x2 spatial patch for four times the channels."""
    b, c, h, w = x.shape
    x = x.view(b, c, h // 2, 2, w // 2, 2)
    return x.permute(0, 1, 3, 5, 2, 4).reshape(b, c * 4, h // 2, w // 2)


def unsqueeze(x):
    b, c, h, w = x.shape
    x = x.view(b, c // 4, 2, 2, h, w)
    return x.permute(0, 1, 4, 2, 5, 3).reshape(b, c // 4, h * 2, w * 2)


class ActNorm(nn.Module):
    """Per-channel affine map, set from the first batch to give zero mean and unit variance."""

    def __init__(self, channels):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.log_scale = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.register_buffer("ready", torch.tensor(False))

    @torch.no_grad()
    def _initialise(self, x):
        mean = x.mean(dim=(0, 2, 3), keepdim=True)
        std = x.std(dim=(0, 2, 3), keepdim=True)
        self.bias.copy_(-mean)
        self.log_scale.copy_(-torch.log(std + 1e-6))
        self.ready.fill_(True)

    def forward(self, x, logdet):
        if self.training and not self.ready:
            self._initialise(x)
        y = (x + self.bias) * self.log_scale.exp()
        return y, logdet + self.log_scale.sum() * x.size(2) * x.size(3)

    def inverse(self, y):
        return y * (-self.log_scale).exp() - self.bias


class InvConv1x1(nn.Module):
    """A learned mixing of channels, started from a random rotation."""

    def __init__(self, channels, lu=True):
        super().__init__()
        self.lu = lu
        q = torch.from_numpy(np.linalg.qr(np.random.randn(channels, channels))[0]).float()
        if not lu:
            self.weight = nn.Parameter(q)
            return
        p, lower, upper = torch.linalg.lu(q)
        diag = upper.diagonal()
        self.register_buffer("perm", p)
        self.register_buffer("sign", diag.sign())
        self.register_buffer("below", torch.tril(torch.ones_like(q), -1))
        self.lower = nn.Parameter(lower)
        self.upper = nn.Parameter(torch.triu(upper, 1))
        self.log_diag = nn.Parameter(diag.abs().log())

    def _factors(self):
        eye = torch.eye(len(self.sign), device=self.sign.device)
        lower = self.lower * self.below + eye
        upper = self.upper * self.below.t() + torch.diag(self.sign * self.log_diag.exp())
        return lower, upper

    def forward(self, x, logdet):
        if self.lu:
            lower, upper = self._factors()
            weight, log_abs = self.perm @ lower @ upper, self.log_diag.sum()
        else:
            weight, log_abs = self.weight, torch.linalg.slogdet(self.weight)[1]
        y = F.conv2d(x, weight[:, :, None, None])
        return y, logdet + log_abs * x.size(2) * x.size(3)

    def inverse(self, y):
        flat = y.flatten(2)
        if self.lu:
            lower, upper = self._factors()
            flat = self.perm.t() @ flat
            flat = torch.linalg.solve_triangular(lower, flat, upper=False, unitriangular=True)
            flat = torch.linalg.solve_triangular(upper, flat, upper=True)
        else:
            flat = torch.linalg.inv(self.weight) @ flat
        return flat.view_as(y)


class ZeroConv(nn.Module):
    """A 3x3 convolution that outputs zero at the start, with a learned output gain."""

    def __init__(self, c_in, c_out):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 3, padding=1)
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)
        self.gain = nn.Parameter(torch.zeros(1, c_out, 1, 1))

    def forward(self, x):
        return self.conv(x) * (3.0 * self.gain).exp()


class AffineCoupling(nn.Module):
    def __init__(self, channels, hidden):
        super().__init__()
        self.kept = channels // 2
        self.net = nn.Sequential(
            nn.Conv2d(self.kept, hidden, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(hidden, hidden, 1), nn.ReLU(inplace=True),
            ZeroConv(hidden, 2 * (channels - self.kept)))
        for conv in (self.net[0], self.net[2]):
            nn.init.normal_(conv.weight, std=0.05)
            nn.init.zeros_(conv.bias)

    def _shift_and_log_scale(self, kept):
        shift, raw = self.net(kept).chunk(2, dim=1)
        return shift, 2.0 * torch.tanh(raw / 2.0)  # bounded, identity at the start

    def forward(self, x, logdet):
        kept, moved = x[:, :self.kept], x[:, self.kept:]
        shift, log_scale = self._shift_and_log_scale(kept)
        moved = (moved + shift) * log_scale.exp()
        return torch.cat([kept, moved], dim=1), logdet + log_scale.sum(dim=(1, 2, 3))

    def inverse(self, y):
        kept, moved = y[:, :self.kept], y[:, self.kept:]
        shift, log_scale = self._shift_and_log_scale(kept)
        return torch.cat([kept, moved * (-log_scale).exp() - shift], dim=1)


class FlowStep(nn.Module):
    def __init__(self, channels, hidden, lu):
        super().__init__()
        self.parts = nn.ModuleList([ActNorm(channels), InvConv1x1(channels, lu),
                                    AffineCoupling(channels, hidden)])

    def forward(self, x, logdet):
        for part in self.parts:
            x, logdet = part(x, logdet)
        return x, logdet

    def inverse(self, y):
        for part in reversed(self.parts):
            y = part.inverse(y)
        return y
