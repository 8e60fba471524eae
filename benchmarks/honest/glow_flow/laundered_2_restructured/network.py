"""The stack of scales: images to noise, noise to images, and the likelihood on the way."""
import math

import torch
from torch import nn

from pixels import PixelFormat, to_bytes, to_real
from reversible import FlowUnit, QuietConv, double, halve

LOG_2PI = math.log(2 * math.pi)


class Scale(nn.Module):
    """One resolution: its units, and the Gaussian for the latents that are read off here.

    At every scale but the last, half of the channels leave and the Gaussian depends on those
    that stay. At the last scale all of them leave and the Gaussian depends on nothing.
    """

    def __init__(self, in_size, units, hidden, factored, is_last):
        super().__init__()
        c, h, w = in_size
        inner = 4 * c
        leaving = inner if is_last else inner // 2
        self.is_last = is_last
        self.out_size = (leaving, h // 2, w // 2)
        self.units = nn.ModuleList([FlowUnit(hidden, inner, factored) for _ in range(units)])
        self.gaussian = QuietConv(2 * leaving, leaving)

    def gaussian_for(self, guide):
        if self.is_last:
            guide = guide.new_zeros(guide.shape)
        return torch.tensor_split(self.gaussian(guide), 2, dim=1)

    def forward(self, x):
        """(what goes on, noise, log-probability collected here)"""
        x = halve(x)
        collected = x.new_zeros(x.shape[0])
        for unit in self.units:
            x, volume = unit(x)
            collected = collected + volume
        if self.is_last:
            onward = leaving = x
        else:
            onward, leaving = torch.tensor_split(x, 2, dim=1)
        mu, log_sigma = self.gaussian_for(onward)
        noise = (leaving - mu) / log_sigma.exp()
        density = -(0.5 * noise.pow(2) + 0.5 * LOG_2PI + log_sigma)
        return onward, noise, collected + density.sum(dim=(1, 2, 3))

    def backwards(self, noise, below):
        mu, log_sigma = self.gaussian_for(noise if self.is_last else below)
        x = torch.addcmul(mu, noise, torch.exp(log_sigma))
        if not self.is_last:
            x = torch.cat((below, x), dim=1)
        for k in range(len(self.units) - 1, -1, -1):
            x = self.units[k](x, backwards=True)
        return double(x)


class TidePool(nn.Module):
    def __init__(self, size=(3, 32, 32), hidden=256, scales=3, units=16, depth=8,
                 use_logit=False, factored=True):
        super().__init__()
        factor = 1 << scales
        if any(side % factor for side in size[1:]):
            raise ValueError(f"both sides of {size[1]}x{size[2]} must be multiples of {factor}")
        self.fmt = PixelFormat(depth, use_logit)
        self.dims = math.prod(size)
        self.scales = nn.ModuleList()
        current = tuple(size)
        while len(self.scales) < scales:
            is_last = len(self.scales) + 1 == scales
            scale = Scale(current, units, hidden, factored, is_last)
            current = scale.out_size
            self.scales.append(scale)

    def noise_sizes(self):
        return [scale.out_size for scale in self.scales]

    def to_noise(self, raw, randomise=True):
        x, log_prob = to_real(self.fmt, raw, randomise)
        noises = []
        for scale in self.scales:
            x, noise, gained = scale(x)
            noises.append(noise)
            log_prob = log_prob + gained
        return log_prob, noises

    def forward(self, raw):
        log_prob, _ = self.to_noise(raw)
        return log_prob.neg() / (math.log(2) * self.dims)


@torch.no_grad()
def render(net, noises):
    x = None
    for i in reversed(range(len(noises))):
        x = net.scales[i].backwards(noises[i], x)
    return to_bytes(net.fmt, x)


def draw(net, temperature=0.7, count=64):
    where = next(net.parameters())
    noises = []
    for size in net.noise_sizes():
        noises.append(torch.randn((count,) + size).to(where).mul(temperature))
    return render(net, noises)


@torch.no_grad()
def between(net, left, right, frames=8):
    """Images at equal distances on the straight line from left to right, in noise space."""
    pair = torch.stack((left, right))
    _, noises = net.to_noise(pair, randomise=False)
    weight = torch.linspace(0, 1, frames, device=left.device)[:, None, None, None]
    return render(net, [torch.lerp(a[None], b[None], weight) for a, b in noises])
