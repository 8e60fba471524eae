"""ECAPA-TDNN embedding network and the additive angular margin loss."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class ConvReluNorm(nn.Sequential):
    """1-d convolution that keeps the number of frames, then ReLU and batch norm."""

    def __init__(self, c_in, c_out, kernel=1, dilation=1):
        super().__init__(
            nn.Conv1d(c_in, c_out, kernel, dilation=dilation, padding=dilation * (kernel // 2)),
            nn.ReLU(),
            nn.BatchNorm1d(c_out),
        )


class Res2Conv(nn.Module):
    """Split channels into groups; every group also sees the output of the previous one."""

    def __init__(self, channels, kernel, dilation, scale=8):
        super().__init__()
        if channels % scale:
            raise ValueError(f"channels ({channels}) must be divisible by scale ({scale})")
        width = channels // scale
        self.scale = scale
        self.convs = nn.ModuleList(
            ConvReluNorm(width, width, kernel, dilation) for _ in range(scale - 1)
        )

    def forward(self, x):
        first, *rest = x.chunk(self.scale, dim=1)
        outputs = [first]
        carry = None
        for group, conv in zip(rest, self.convs):
            carry = conv(group if carry is None else group + carry)
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
    def __init__(self, channels, kernel=3, dilation=2, scale=8):
        super().__init__()
        self.body = nn.Sequential(
            ConvReluNorm(channels, channels),
            Res2Conv(channels, kernel, dilation, scale),
            ConvReluNorm(channels, channels),
            SqueezeExcite(channels),
        )

    def forward(self, x):
        return x + self.body(x)


class AttentiveStats(nn.Module):
    """Channel-wise attention over time; returns weighted mean and deviation.

    The attention also looks at the utterance-level mean and deviation, so that a
    frame is judged relative to the recording it comes from.
    """

    def __init__(self, channels, hidden=128):
        super().__init__()
        self.score = nn.Sequential(
            ConvReluNorm(channels * 3, hidden), nn.Tanh(), nn.Conv1d(hidden, channels, 1)
        )

    @staticmethod
    def moments(x, weight):
        mean = (x * weight).sum(dim=2)
        var = (x.pow(2) * weight).sum(dim=2) - mean.pow(2)
        return mean, var.clamp(min=1e-6).sqrt()

    def forward(self, x):
        frames = x.shape[2]
        mean, std = self.moments(x, 1.0 / frames)
        context = torch.cat([mean, std], dim=1).unsqueeze(2).expand(-1, -1, frames)
        weight = self.score(torch.cat([x, context], dim=1)).softmax(dim=2)
        return torch.cat(self.moments(x, weight), dim=1)


class EcapaTDNN(nn.Module):
    """Log-mel features (batch, mels, frames) -> embeddings (batch, emb_dim)."""

    def __init__(self, n_mels=80, channels=512, emb_dim=192, dilations=(2, 3, 4)):
        super().__init__()
        self.stem = ConvReluNorm(n_mels, channels, kernel=5)
        self.blocks = nn.ModuleList(SERes2Block(channels, dilation=d) for d in dilations)
        pooled = 1536
        self.aggregate = nn.Sequential(nn.Conv1d(channels * len(dilations), pooled, 1), nn.ReLU())
        self.pool = AttentiveStats(pooled)
        self.head = nn.Sequential(
            nn.BatchNorm1d(pooled * 2), nn.Linear(pooled * 2, emb_dim), nn.BatchNorm1d(emb_dim)
        )

    def forward(self, feats):
        x = self.stem(feats)
        skip = x
        collected = []
        for block in self.blocks:
            x = block(skip)
            collected.append(x)
            skip = skip + x  # each block is fed the sum of everything before it
        return self.head(self.pool(self.aggregate(torch.cat(collected, dim=1))))


class AAMSoftmax(nn.Module):
    def __init__(self, emb_dim, n_speakers, margin=0.2, scale=30.0, easy_margin=False):
        super().__init__()
        self.centres = nn.Parameter(torch.empty(n_speakers, emb_dim))
        nn.init.xavier_normal_(self.centres)
        self.margin, self.scale, self.easy_margin = margin, scale, easy_margin

    def forward(self, emb, labels):
        """Return the mean loss and the (margin-free) accuracy of the batch."""
        cosine = F.linear(F.normalize(emb), F.normalize(self.centres))
        target = cosine.gather(1, labels[:, None]).clamp(-1 + 1e-7, 1 - 1e-7)
        sine = (1 - target.pow(2)).sqrt()
        shifted = target * math.cos(self.margin) - sine * math.sin(self.margin)
        if self.easy_margin:
            # only apply the margin where the angle is already below 90 degrees
            shifted = torch.where(target > 0, shifted, target)
        else:
            # past pi - m the cosine would start rising again: continue linearly
            limit = math.cos(math.pi - self.margin)
            fallback = target - self.margin * math.sin(self.margin)
            shifted = torch.where(target > limit, shifted, fallback)
        logits = self.scale * cosine.scatter(1, labels[:, None], shifted)
        accuracy = (cosine.argmax(dim=1) == labels).float().mean()
        return F.cross_entropy(logits, labels), accuracy
