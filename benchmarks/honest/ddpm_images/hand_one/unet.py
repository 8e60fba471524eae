import math

import torch
import torch.nn as nn
import torch.nn.functional as F


def time_embedding(t, dim, max_period=10000.0):
    half = dim // 2
    rates = torch.exp(torch.arange(half, device=t.device) * (-math.log(max_period) / half))
    angles = t.float().unsqueeze(1) * rates
    return torch.cat((angles.sin(), angles.cos()), dim=1)


def zero_init(module):
    for p in module.parameters():
        nn.init.zeros_(p)
    return module


class ResBlock(nn.Module):
    def __init__(self, c_in, c_out, c_time, dropout):
        super().__init__()
        self.norm1 = nn.GroupNorm(32, c_in)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.time = nn.Linear(c_time, c_out)
        self.norm2 = nn.GroupNorm(32, c_out)
        self.drop = nn.Dropout(dropout)
        self.conv2 = zero_init(nn.Conv2d(c_out, c_out, 3, padding=1))
        self.skip = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else nn.Identity()

    def forward(self, x, temb):
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time(F.silu(temb))[..., None, None]
        h = self.conv2(self.drop(F.silu(self.norm2(h))))
        return self.skip(x) + h


class SpatialAttention(nn.Module):
    def __init__(self, channels, heads=4):
        super().__init__()
        self.norm = nn.GroupNorm(32, channels)
        self.mha = nn.MultiheadAttention(channels, heads, batch_first=True)
        zero_init(self.mha.out_proj)

    def forward(self, x):
        seq = self.norm(x).flatten(2).transpose(1, 2)
        seq, _ = self.mha(seq, seq, seq, need_weights=False)
        return x + seq.transpose(1, 2).reshape(x.shape)


class Stage(nn.Module):
    """A residual block, followed by attention if asked for."""

    def __init__(self, c_in, c_out, c_time, dropout, attend):
        super().__init__()
        self.res = ResBlock(c_in, c_out, c_time, dropout)
        self.attn = SpatialAttention(c_out) if attend else nn.Identity()

    def forward(self, x, temb):
        return self.attn(self.res(x, temb))


class UNet(nn.Module):
    def __init__(self, image_size=32, channels=3, base=128, mults=(1, 2, 2, 2), blocks=2, attn_at=(16,), dropout=0.1):
        super().__init__()
        self.base = base
        c_time = 4 * base
        self.time_mlp = nn.Sequential(nn.Linear(base, c_time), nn.SiLU(), nn.Linear(c_time, c_time))
        self.stem = nn.Conv2d(channels, base, 3, padding=1)

        size, width = image_size, base
        skips = [base]
        self.down = nn.ModuleList()
        for i, mult in enumerate(mults):
            for _ in range(blocks):
                self.down.append(Stage(width, base * mult, c_time, dropout, size in attn_at))
                width = base * mult
                skips.append(width)
            if i < len(mults) - 1:
                self.down.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
                skips.append(width)
                size //= 2

        self.mid1 = Stage(width, width, c_time, dropout, True)
        self.mid2 = Stage(width, width, c_time, dropout, False)

        self.up = nn.ModuleList()
        for i, mult in reversed(list(enumerate(mults))):
            for _ in range(blocks + 1):
                self.up.append(Stage(width + skips.pop(), base * mult, c_time, dropout, size in attn_at))
                width = base * mult
            if i > 0:
                self.up.append(nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 3, padding=1)))
                size *= 2

        self.head = nn.Sequential(
            nn.GroupNorm(32, width), nn.SiLU(), zero_init(nn.Conv2d(width, channels, 3, padding=1))
        )

    def forward(self, x, t):
        temb = self.time_mlp(time_embedding(t, self.base))
        x = self.stem(x)
        saved = [x]
        for layer in self.down:
            x = layer(x, temb) if isinstance(layer, Stage) else layer(x)
            saved.append(x)
        x = self.mid2(self.mid1(x, temb), temb)
        for layer in self.up:
            if isinstance(layer, Stage):
                x = layer(torch.cat((x, saved.pop()), dim=1), temb)
            else:
                x = layer(x)
        return self.head(x)
