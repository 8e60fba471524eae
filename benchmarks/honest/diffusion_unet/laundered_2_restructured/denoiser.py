"""The network that predicts v."""

import torch
import torch.nn as nn
from layers import ConvBlock, UpConv, conv3, timestep_features

DEFAULT_ARCH = dict(
    img_channels=3,
    img_size=32,
    n_labels=10,
    base_ch=64,
    ch_mult=(1, 2, 2, 4),
    n_blocks=2,
    attn_res=(16, 8),
    n_heads=4,
    n_groups=16,
    dropout=0.1,
)


class Denoiser(nn.Module):
    """x [B, C, H, W], t [B], y [B] -> [B, C, H, W]; y == n_labels stands for "no label"."""

    def __init__(self, **arch):
        super().__init__()
        self.arch = {**DEFAULT_ARCH, **arch}
        a = self.arch
        base, mults, n_blocks = a["base_ch"], a["ch_mult"], a["n_blocks"]
        n_cond = 4 * base
        self.base = base
        n_levels = len(mults)

        def block(n_in, n_out, attn):
            heads = a["n_heads"] if attn else None
            return ConvBlock(n_in, n_out, n_cond, a["n_groups"], a["dropout"], heads)

        with_attn = [(a["img_size"] // (1 << i)) in a["attn_res"] for i in range(n_levels)]

        self.fc1 = nn.Linear(base, n_cond)
        self.fc2 = nn.Linear(n_cond, n_cond)
        self.label_emb = nn.Embedding(1 + a["n_labels"], n_cond)
        self.conv_first = conv3(a["img_channels"], base)

        # encoder
        ch, chs = base, [base]
        encoder = []
        for i in range(n_levels):
            n_out = base * mults[i]
            for j in range(n_blocks):
                encoder.append(block(n_out if j else ch, n_out, with_attn[i]))
            ch = n_out
            chs.extend([ch] * n_blocks)
            if i != n_levels - 1:
                encoder.append(conv3(ch, ch, stride=2))
                chs.append(ch)
        self.encoder = nn.ModuleList(encoder)

        # bottleneck
        self.mid1 = block(ch, ch, True)
        self.mid2 = block(ch, ch, False)

        # decoder
        decoder = []
        for i in range(n_levels - 1, -1, -1):
            n_out = base * mults[i]
            for _ in range(1 + n_blocks):
                decoder.append(block(chs.pop() + ch, n_out, with_attn[i]))
                ch = n_out
            if i != 0:
                decoder.append(UpConv(ch))
        self.decoder = nn.ModuleList(decoder)

        self.gn_last = nn.GroupNorm(a["n_groups"], base * mults[0])
        self.conv_last = conv3(base * mults[0], a["img_channels"], zero=True)

    def condition(self, t, y):
        c = timestep_features(t, self.base)
        c = nn.functional.silu(self.fc1(c))
        return self.fc2(c) + self.label_emb(y)

    def encode(self, x, c):
        feats = [self.conv_first(x)]
        for m in self.encoder:
            if not isinstance(m, ConvBlock):
                feats.append(m(feats[-1]))
            else:
                feats.append(m(feats[-1], c))
        return feats

    def decode(self, x, c, feats):
        for m in self.decoder:
            if isinstance(m, UpConv):
                x = m(x)
                continue
            skip = feats.pop()
            x = m(torch.concat((x, skip), 1), c)
        return x

    def forward(self, x, t, y):
        c = self.condition(t, y)
        feats = self.encode(x, c)
        z = self.mid2(self.mid1(feats[-1], c), c)
        z = self.decode(z, c, feats)
        z = nn.functional.silu(self.gn_last(z))
        return self.conv_last(z)

    def count_parameters(self):
        return sum(p.numel() for p in self.parameters() if p.requires_grad)
