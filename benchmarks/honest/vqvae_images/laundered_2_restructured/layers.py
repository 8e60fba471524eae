"""Convolution stacks for both halves of the image compressor."""
from torch import nn


def norm_act(planes):
    return [nn.GroupNorm(num_groups=8, num_channels=planes), nn.SiLU()]


class Residual(nn.Module):
    def __init__(self, planes):
        super().__init__()
        self.mix_space = nn.Sequential(*norm_act(planes), nn.Conv2d(planes, planes, 3, padding="same"))
        self.mix_planes = nn.Sequential(*norm_act(planes), nn.Conv2d(planes, planes, kernel_size=1))

    def forward(self, h):
        delta = self.mix_space(h)
        delta = self.mix_planes(delta)
        return h.add(delta)


def tower(planes, depth):
    """`depth` residual layers, closed by a normalised activation."""
    parts = []
    for _ in range(depth):
        parts.append(Residual(planes))
    return parts + norm_act(planes)


def halve(src, dst):
    return nn.Conv2d(src, dst, kernel_size=4, stride=2, padding=1)


def double(src, dst):
    return nn.ConvTranspose2d(src, dst, kernel_size=4, stride=2, padding=1)


def build_analysis(word_dim, planes, depth, colours):
    half = planes // 2
    parts = [halve(colours, half), nn.SiLU(), halve(half, planes)]
    parts += tower(planes, depth)
    parts.append(nn.Conv2d(planes, word_dim, kernel_size=1))
    return nn.Sequential(*parts)


def build_synthesis(word_dim, planes, depth, colours):
    half = planes // 2
    parts = [nn.Conv2d(word_dim, planes, kernel_size=3, padding="same")]
    parts += tower(planes, depth)
    parts += [double(planes, half), nn.SiLU(), double(half, colours)]
    return nn.Sequential(*parts)
