"""Reversible operations. Each module is called as module(x) -> (y, volume) in the direction of
the latents and as module(y, backwards=True) -> x in the direction of the pixels."""
import torch
from torch import nn


def halve(t):
    """Move every 2x2 patch into the channel axis."""
    n, c, h, w = t.shape
    patches = t.reshape(n, c, h // 2, 2, w // 2, 2)
    return patches.permute(0, 1, 3, 5, 2, 4).reshape(n, 4 * c, h // 2, w // 2)


def double(t):
    n, c, h, w = t.shape
    patches = t.reshape(n, c // 4, 2, 2, h, w)
    return patches.permute(0, 1, 4, 2, 5, 3).reshape(n, c // 4, 2 * h, 2 * w)


def area(t):
    return t.shape[-2] * t.shape[-1]


def per_example(scalar, t):
    return scalar.mul(area(t)).repeat(t.shape[0])


def small_normal_conv(c_out, c_in, size):
    conv = nn.Conv2d(c_in, c_out, kernel_size=size, padding=size // 2)
    conv.weight.data.normal_(0.0, 0.05)
    conv.bias.data.zero_()
    return conv


class QuietConv(nn.Module):
    """A 3x3 convolution of zeros, followed by a learned gain for each output channel."""

    def __init__(self, c_out, c_in):
        super().__init__()
        self.log_gain = nn.Parameter(torch.zeros(c_out, 1, 1))
        self.conv = nn.Conv2d(c_in, c_out, kernel_size=3, padding=1)
        for p in self.conv.parameters():
            p.data.zero_()

    def forward(self, x):
        gain = self.log_gain.mul(3).exp()
        return gain * self.conv(x)


class DenseMixer(nn.Module):
    """A free square matrix over the channels."""

    def __init__(self, start):
        super().__init__()
        self.matrix = nn.Parameter(start)

    def compose(self):
        return self.matrix

    def log_volume(self):
        _, value = torch.linalg.slogdet(self.matrix)
        return value

    def solve(self, rhs):
        return torch.linalg.solve(self.matrix, rhs)


class FactoredMixer(nn.Module):
    """The same matrix kept as permutation, unit lower and upper triangle."""

    def __init__(self, start):
        super().__init__()
        p, l, u = torch.lu_unpack(*torch.linalg.lu_factor(start))
        d = torch.diagonal(u)
        self.low = nn.Parameter(torch.tril(l, diagonal=-1))
        self.high = nn.Parameter(torch.triu(u, diagonal=1))
        self.log_diag = nn.Parameter(torch.log(torch.abs(d)))
        self.register_buffer("order", p)
        self.register_buffer("diag_sign", torch.sign(d))

    def lower_triangle(self):
        return torch.tril(self.low, diagonal=-1) + torch.eye(self.low.shape[0]).to(self.low)

    def upper_triangle(self):
        d = torch.exp(self.log_diag) * self.diag_sign
        return torch.diag_embed(d) + torch.triu(self.high, diagonal=1)

    def compose(self):
        return torch.linalg.multi_dot([self.order, self.lower_triangle(), self.upper_triangle()])

    def log_volume(self):
        return torch.sum(self.log_diag)

    def solve(self, rhs):
        unpermuted = torch.matmul(self.order.t(), rhs)
        half_way = torch.linalg.solve_triangular(
            self.lower_triangle(), unpermuted, upper=False, unitriangular=True)
        return torch.linalg.solve_triangular(self.upper_triangle(), half_way, upper=True)


def random_mixer(factored, channels):
    q, _ = torch.linalg.qr(torch.randn(channels, channels))
    return FactoredMixer(q) if factored else DenseMixer(q)


class FlowUnit(nn.Module):
    """Normalise the channels, mix them, then move one half of them by what the other half says.

    The normalisation takes its values from the first batch seen in training mode.
    """

    def __init__(self, hidden, channels, factored):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.log_factor = nn.Parameter(torch.zeros(channels))
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))
        self.mixer = random_mixer(factored, channels)
        self.first = small_normal_conv(hidden, channels // 2, 3)
        self.second = small_normal_conv(hidden, hidden, 1)
        self.third = QuietConv(channels, hidden)

    def fit_to(self, x):
        with torch.no_grad():
            by_channel = x.transpose(0, 1).flatten(1)
            self.bias.data = by_channel.mean(dim=1).neg()
            self.log_factor.data = by_channel.std(dim=1).add(1e-6).log().neg()
            self.fitted.logical_not_()

    def coupling_terms(self, guide):
        hidden = torch.relu(self.first(guide))
        hidden = torch.relu(self.second(hidden))
        raw, move = torch.tensor_split(self.third(hidden), 2, dim=1)
        return move, torch.tanh(raw * 0.5) * 2.0  # the factor stays within exp(-2) and exp(2)

    def forward(self, x, backwards=False):
        if backwards:
            return self.to_pixels(x)
        if self.training and not self.fitted:
            self.fit_to(x)
        # normalise
        bias = self.bias.view(-1, 1, 1)
        x = torch.exp(self.log_factor).view(-1, 1, 1) * (x + bias)
        # mix
        x = torch.einsum("oi,nihw->nohw", self.mixer.compose(), x)
        # couple
        guide, follower = torch.tensor_split(x, 2, dim=1)
        move, log_factor = self.coupling_terms(guide)
        follower = torch.exp(log_factor) * (follower + move)

        volume = per_example(self.log_factor.sum() + self.mixer.log_volume(), x)
        volume = volume + log_factor.sum(dim=(1, 2, 3))
        return torch.cat((guide, follower), dim=1), volume

    def to_pixels(self, y):
        guide, follower = torch.tensor_split(y, 2, dim=1)
        move, log_factor = self.coupling_terms(guide)
        y = torch.cat((guide, follower / torch.exp(log_factor) - move), dim=1)
        y = self.mixer.solve(y.reshape(*y.shape[:2], -1)).reshape(y.shape)
        return y / torch.exp(self.log_factor).view(-1, 1, 1) - self.bias.view(-1, 1, 1)
