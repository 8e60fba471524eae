"""Building blocks of the network."""

import math

import torch
import torch.nn as nn
from torch.nn import functional as F


def conv3(n_in, n_out, stride=1, zero=False):
    conv = nn.Conv2d(n_in, n_out, 3, stride, 1)
    return zeroed(conv) if zero else conv


def conv1(n_in, n_out, zero=False):
    conv = nn.Conv2d(n_in, n_out, 1)
    return zeroed(conv) if zero else conv


def zeroed(module):
    for p in (module.weight, module.bias):
        if p is not None:
            nn.init.constant_(p, 0.0)
    return module


def timestep_features(t, n, max_period=10_000.0):
    """[n_batch] -> [n_batch, n], cosines first."""
    k = n // 2
    rates = torch.exp(torch.arange(k, device=t.device) * -math.log(max_period) / k)
    phase = torch.outer(t.to(torch.float32), rates)
    return torch.cat((torch.cos(phase), torch.sin(phase)), -1)


class AttentionBlock(nn.Module):
    def __init__(self, n_ch, n_heads, n_groups):
        super().__init__()
        self.n_heads = n_heads
        self.gn = nn.GroupNorm(n_groups, n_ch)
        self.to_qkv = conv1(n_ch, n_ch * 3)
        self.to_out = conv1(n_ch, n_ch, zero=True)

    def split_heads(self, y):
        b, c, h, w = y.size()
        return y.view(b, self.n_heads, c // self.n_heads, h * w).transpose(2, 3)

    def forward(self, x):
        residual = x
        q, k, v = [self.split_heads(part) for part in self.to_qkv(self.gn(x)).chunk(3, dim=1)]
        y = F.scaled_dot_product_attention(query=q, key=k, value=v)
        y = y.transpose(2, 3).reshape(x.size())
        y = self.to_out(y)
        return residual + y


class ConvBlock(nn.Module):
    """Residual block; optional attention at its end."""

    def __init__(self, n_in, n_out, n_cond, n_groups, dropout, n_heads=None):
        super().__init__()
        self.act = nn.SiLU()
        self.gn_in = nn.GroupNorm(n_groups, n_in)
        self.conv_in = conv3(n_in, n_out)
        self.cond = nn.Linear(n_cond, n_out * 2)
        self.gn_out = nn.GroupNorm(n_groups, n_out)
        self.dropout = nn.Dropout(dropout)
        self.conv_out = conv3(n_out, n_out, zero=True)
        self.proj = None if n_in == n_out else conv1(n_in, n_out)
        self.attn = None if n_heads is None else AttentionBlock(n_out, n_heads, n_groups)

    def forward(self, x, c):
        gamma, beta = torch.split(self.cond(self.act(c)), self.gn_out.num_channels, dim=-1)
        gamma = gamma.unsqueeze(-1).unsqueeze(-1)
        beta = beta.unsqueeze(-1).unsqueeze(-1)

        y = self.gn_in(x)
        y = self.act(y)
        y = self.conv_in(y)
        y = self.gn_out(y)
        y = beta + y * (gamma + 1.0)
        y = self.act(y)
        y = self.dropout(y)
        y = self.conv_out(y)

        if self.proj is not None:
            x = self.proj(x)
        x = x + y
        if self.attn is None:
            return x
        return self.attn(x)


class UpConv(nn.Module):
    def __init__(self, n_ch):
        super().__init__()
        self.up = nn.Upsample(scale_factor=2.0, mode="nearest")
        self.conv = conv3(n_ch, n_ch)

    def forward(self, x):
        x = self.up(x)
        return self.conv(x)
