import math

import torch
from torch import nn
import torch.nn.functional as F


def timestep_features(t, dim, longest=10_000):
    """Sinusoidal features of integer timesteps, (B,) -> (B, dim)."""
    half = dim // 2
    rates = torch.exp(torch.linspace(0, -math.log(longest), half, device=t.device))
    phase = t.float().unsqueeze(1) * rates
    return torch.cat([phase.sin(), phase.cos()], dim=1)


def zeroed(layer):
    for p in layer.parameters():
        nn.init.zeros_(p)
    return layer


class ResBlock(nn.Module):
    def __init__(self, cin, cout, temb, dropout):
        super().__init__()
        self.pre = nn.Sequential(nn.GroupNorm(32, cin), nn.SiLU(),
                                 nn.Conv2d(cin, cout, 3, padding=1))
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(temb, cout))
        self.post = nn.Sequential(nn.GroupNorm(32, cout), nn.SiLU(), nn.Dropout(dropout),
                                  zeroed(nn.Conv2d(cout, cout, 3, padding=1)))
        self.shortcut = nn.Identity() if cin == cout else nn.Conv2d(cin, cout, 1)

    def forward(self, x, emb):
        h = self.pre(x) + self.time(emb)[..., None, None]
        return self.shortcut(x) + self.post(h)


class SpatialAttention(nn.Module):
    def __init__(self, channels, heads=4):
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(32, channels)
        self.qkv = nn.Conv2d(channels, channels * 3, 1)
        self.proj = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x):
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x)).view(b, 3, self.heads, c // self.heads, h * w)
        q, k, v = qkv.transpose(-1, -2).unbind(1)
        y = F.scaled_dot_product_attention(q, k, v)
        return x + self.proj(y.transpose(-1, -2).reshape(b, c, h, w))


class Stage(nn.Module):
    def __init__(self, cin, cout, temb, dropout, attend):
        super().__init__()
        self.res = ResBlock(cin, cout, temb, dropout)
        self.attn = SpatialAttention(cout) if attend else nn.Identity()

    def forward(self, x, emb):
        return self.attn(self.res(x, emb))


class UNet(nn.Module):
    def __init__(self, image_size=32, in_channels=3, base=128, mults=(1, 2, 2, 2),
                 blocks=2, attend_at=(16,), dropout=0.1):
        super().__init__()
        self.base = base
        temb = 4 * base
        self.embed = nn.Sequential(nn.Linear(base, temb), nn.SiLU(), nn.Linear(temb, temb))
        self.stem = nn.Conv2d(in_channels, base, 3, padding=1)

        self.encoder = nn.ModuleList()
        size, width = image_size, base
        skips = [base]
        for i, m in enumerate(mults):
            for _ in range(blocks):
                self.encoder.append(Stage(width, base * m, temb, dropout, size in attend_at))
                width = base * m
                skips.append(width)
            if i < len(mults) - 1:
                self.encoder.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
                skips.append(width)
                size //= 2

        self.middle = nn.ModuleList([Stage(width, width, temb, dropout, True),
                                     Stage(width, width, temb, dropout, False)])

        self.decoder = nn.ModuleList()
        for i, m in reversed(list(enumerate(mults))):
            for _ in range(blocks + 1):
                self.decoder.append(Stage(width + skips.pop(), base * m, temb, dropout,
                                          size in attend_at))
                width = base * m
            if i > 0:
                self.decoder.append(nn.Sequential(nn.Upsample(scale_factor=2),
                                                  nn.Conv2d(width, width, 3, padding=1)))
                size *= 2
        self.head = nn.Sequential(nn.GroupNorm(32, width), nn.SiLU(),
                                  zeroed(nn.Conv2d(width, in_channels, 3, padding=1)))

    def forward(self, x, t):
        emb = self.embed(timestep_features(t, self.base))
        h = self.stem(x)
        stack = [h]
        for layer in self.encoder:
            h = layer(h, emb) if isinstance(layer, Stage) else layer(h)
            stack.append(h)
        for layer in self.middle:
            h = layer(h, emb)
        for layer in self.decoder:
            if isinstance(layer, Stage):
                h = layer(torch.cat([h, stack.pop()], dim=1), emb)
            else:
                h = layer(h)
        return self.head(h)
