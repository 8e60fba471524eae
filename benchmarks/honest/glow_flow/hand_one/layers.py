"""Invertible building blocks. forward(x) -> (y, logdet per sample); inverse(y) -> x."""
import torch
import torch.nn as nn
import torch.nn.functional as F


def squeeze(x):
    return F.pixel_unshuffle(x, 2)


def unsqueeze(x):
    return F.pixel_shuffle(x, 2)


class ActNorm(nn.Module):
    """Per-channel affine map; the first training batch leaves it with zero mean, unit variance."""

    def __init__(self, channels):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.log_scale = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.register_buffer("ready", torch.tensor(False))

    @torch.no_grad()
    def initialise(self, x):
        std, mean = torch.std_mean(x, dim=(0, 2, 3), keepdim=True)
        self.shift.copy_(-mean)
        self.log_scale.copy_(-torch.log(std + 1e-6))
        self.ready.fill_(True)

    def forward(self, x):
        if self.training and not self.ready:
            self.initialise(x)
        logdet = self.log_scale.sum() * x.size(2) * x.size(3)
        return (x + self.shift) * self.log_scale.exp(), logdet.expand(x.size(0))

    def inverse(self, y):
        return y * torch.exp(-self.log_scale) - self.shift


class InvConv(nn.Module):
    """1x1 convolution started at a random rotation, held whole or as P L (U + diag(s))."""

    def __init__(self, channels, lu=True):
        super().__init__()
        self.lu = lu
        rotation = torch.linalg.qr(torch.randn(channels, channels))[0]
        if not lu:
            self.weight = nn.Parameter(rotation)
            return
        perm, lower, upper = torch.linalg.lu(rotation)
        diag = upper.diagonal()
        self.register_buffer("perm", perm)
        self.register_buffer("sign", diag.sign())
        self.log_s = nn.Parameter(diag.abs().log())
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))

    def factors(self):
        eye = torch.eye(len(self.log_s), device=self.log_s.device)
        return self.lower.tril(-1) + eye, self.upper.triu(1) + torch.diag(self.sign * self.log_s.exp())

    def matrix(self):
        if not self.lu:
            return self.weight
        lower, upper = self.factors()
        return self.perm @ lower @ upper

    def forward(self, x):
        logabsdet = self.log_s.sum() if self.lu else torch.linalg.slogdet(self.weight)[1]
        y = F.conv2d(x, self.matrix()[:, :, None, None])
        return y, (logabsdet * x.size(2) * x.size(3)).expand(x.size(0))

    def inverse(self, y):
        flat = y.flatten(2)
        if self.lu:
            lower, upper = self.factors()
            flat = torch.linalg.solve_triangular(lower, self.perm.T @ flat, upper=False,
                                                 unitriangular=True)
            flat = torch.linalg.solve_triangular(upper, flat, upper=True)
        else:
            flat = torch.linalg.inv(self.weight) @ flat
        return flat.view_as(y)


class ZeroConv(nn.Conv2d):
    """3x3 convolution that outputs zero at first, with a learned log gain on its output."""

    def __init__(self, c_in, c_out):
        super().__init__(c_in, c_out, 3, padding=1)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)
        self.gain = nn.Parameter(torch.zeros(c_out, 1, 1))

    def forward(self, x):
        return super().forward(x) * torch.exp(3 * self.gain)


class Coupling(nn.Module):
    """Half of the channels decide how the other half is scaled and moved."""

    def __init__(self, channels, hidden):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels // 2, hidden, 3, padding=1), nn.ReLU(),
            nn.Conv2d(hidden, hidden, 1), nn.ReLU(),
            ZeroConv(hidden, channels))
        for conv in (self.net[0], self.net[2]):
            nn.init.normal_(conv.weight, std=0.05)
            nn.init.zeros_(conv.bias)

    def params(self, kept):
        raw, shift = self.net(kept).chunk(2, dim=1)
        return 2.0 * torch.tanh(raw / 2.0), shift  # bounded log-scale keeps the inverse tame

    def forward(self, x):
        kept, moved = x.chunk(2, dim=1)
        log_s, shift = self.params(kept)
        return torch.cat([kept, (moved + shift) * log_s.exp()], 1), log_s.flatten(1).sum(1)

    def inverse(self, y):
        kept, moved = y.chunk(2, dim=1)
        log_s, shift = self.params(kept)
        return torch.cat([kept, moved * torch.exp(-log_s) - shift], 1)
