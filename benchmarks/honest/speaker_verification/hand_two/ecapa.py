"""ECAPA-TDNN encoder and the AAM-softmax classification head."""
import math

import torch
import torch.nn.functional as F
from torch import nn


class ConvBlock(nn.Sequential):
    def __init__(self, c_in, c_out, kernel=1, dilation=1):
        super().__init__(
            nn.Conv1d(c_in, c_out, kernel, dilation=dilation, padding=dilation * (kernel - 1) // 2),
            nn.ReLU(),
            nn.BatchNorm1d(c_out),
        )


class Res2Conv(nn.Module):
    """Splits the channels into groups; each group also sees the previous group's output."""

    def __init__(self, channels, kernel, dilation, scale=8):
        super().__init__()
        if channels % scale:
            raise ValueError(f"channels ({channels}) must be divisible by scale ({scale})")
        self.scale = scale
        width = channels // scale
        self.convs = nn.ModuleList(ConvBlock(width, width, kernel, dilation) for _ in range(scale - 1))

    def forward(self, x):
        first, *rest = x.chunk(self.scale, dim=1)
        outputs, carry = [first], None
        for conv, part in zip(self.convs, rest):
            carry = conv(part if carry is None else part + carry)
            outputs.append(carry)
        return torch.cat(outputs, dim=1)


class SqueezeExcite(nn.Module):
    def __init__(self, channels, bottleneck=128):
        super().__init__()
        self.down = nn.Linear(channels, bottleneck)
        self.up = nn.Linear(bottleneck, channels)

    def forward(self, x):
        gate = torch.sigmoid(self.up(F.relu(self.down(x.mean(dim=2)))))
        return x * gate.unsqueeze(2)


class SERes2Block(nn.Module):
    def __init__(self, channels, kernel, dilation, scale=8):
        super().__init__()
        self.body = nn.Sequential(
            ConvBlock(channels, channels),
            Res2Conv(channels, kernel, dilation, scale),
            ConvBlock(channels, channels),
            SqueezeExcite(channels),
        )

    def forward(self, x):
        return x + self.body(x)


class AttentiveStats(nn.Module):
    """Channel-wise attention with global context, returning weighted mean and std."""

    def __init__(self, channels, hidden=128):
        super().__init__()
        self.score = nn.Sequential(
            ConvBlock(channels * 3, hidden), nn.Tanh(), nn.Conv1d(hidden, channels, 1)
        )

    def forward(self, x):
        mean = x.mean(dim=2, keepdim=True).expand_as(x)
        std = x.var(dim=2, keepdim=True, unbiased=False).clamp(min=1e-5).sqrt().expand_as(x)
        alpha = self.score(torch.cat([x, mean, std], dim=1)).softmax(dim=2)
        mu = (alpha * x).sum(dim=2)
        var = (alpha * x.pow(2)).sum(dim=2) - mu.pow(2)
        return torch.cat([mu, var.clamp(min=1e-5).sqrt()], dim=1)


class EcapaTdnn(nn.Module):
    def __init__(self, n_mels=80, channels=512, agg_channels=1536, emb_dim=192, dilations=(2, 3, 4)):
        super().__init__()
        self.stem = ConvBlock(n_mels, channels, kernel=5)
        self.blocks = nn.ModuleList(SERes2Block(channels, 3, d) for d in dilations)
        self.aggregate = nn.Sequential(nn.Conv1d(channels * len(dilations), agg_channels, 1), nn.ReLU())
        self.pool = AttentiveStats(agg_channels)
        self.embed = nn.Sequential(
            nn.BatchNorm1d(agg_channels * 2),
            nn.Linear(agg_channels * 2, emb_dim),
            nn.BatchNorm1d(emb_dim),
        )

    def forward(self, feats):
        x = self.stem(feats)
        total, collected = x, []
        for block in self.blocks:
            y = block(total)
            collected.append(y)
            total = total + y  # every block is fed the sum of all earlier outputs
        return self.embed(self.pool(self.aggregate(torch.cat(collected, dim=1))))


class AAMSoftmax(nn.Module):
    """Cross entropy over s * cos(theta + m) for the true class, s * cos(theta) elsewhere."""

    def __init__(self, emb_dim, n_classes, margin=0.2, scale=30.0, easy_margin=False):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_classes, emb_dim))
        nn.init.xavier_normal_(self.weight)
        self.margin, self.scale, self.easy_margin = margin, scale, easy_margin

    def forward(self, emb, labels):
        cos = F.linear(F.normalize(emb), F.normalize(self.weight)).clamp(-1.0, 1.0)
        target = cos.gather(1, labels.unsqueeze(1))
        sin = (1.0 - target.pow(2)).clamp(min=1e-7).sqrt()
        shifted = target * math.cos(self.margin) - sin * math.sin(self.margin)
        if self.easy_margin:
            shifted = torch.where(target > 0, shifted, target)
        else:
            # past theta = pi - m the cosine would rise again, so continue linearly
            fallback = target - self.margin * math.sin(self.margin)
            shifted = torch.where(target > -math.cos(self.margin), shifted, fallback)
        logits = self.scale * cos.scatter(1, labels.unsqueeze(1), shifted)
        accuracy = (cos.argmax(dim=1) == labels).float().mean()
        return F.cross_entropy(logits, labels), accuracy
