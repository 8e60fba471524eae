import torch
from torch import nn
import torch.nn.functional as F

from utils import time_embedding, zero_init


class SelfAttention2d(nn.Module):

    def __init__(self, channels, heads=4):
        super().__init__()
        self.norm = nn.GroupNorm(32, channels)
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        zero_init(self.attention.out_proj)

    def forward(self, x):
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        tokens, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        return x + tokens.transpose(1, 2).reshape(x.shape)


class ConvBlock(nn.Module):

    def __init__(self, c_in, c_out, t_dim, dropout):
        super().__init__()
        if c_in == c_out:
            self.skip = nn.Identity()
        else:
            self.skip = nn.Conv2d(c_in, c_out, 1)
        self.time = nn.Linear(t_dim, c_out)
        self.norm1 = nn.GroupNorm(32, c_in)
        self.norm2 = nn.GroupNorm(32, c_out)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.conv2 = zero_init(nn.Conv2d(c_out, c_out, 3, padding=1))
        self.drop = nn.Dropout(dropout)

    def forward(self, x, t_emb):
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time(F.silu(t_emb))[:, :, None, None]
        h = F.silu(self.norm2(h))
        h = self.conv2(self.drop(h))
        return h + self.skip(x)


class Level(nn.Module):

    def __init__(self, c_in, c_out, t_dim, dropout, use_attn):
        super().__init__()
        self.res = ConvBlock(c_in, c_out, t_dim, dropout)
        self.attn = SelfAttention2d(c_out) if use_attn else nn.Identity()

    def forward(self, x, t_emb):
        h = self.res(x, t_emb)
        return self.attn(h)


class DenoiseNet(nn.Module):

    def __init__(
        self,
        image_size=32,
        channels=3,
        base=128,
        mults=(1, 2, 2, 2),
        blocks=2,
        attn_at=(16,),
        dropout=0.15,
    ):
        super().__init__()
        self.base = base
        t_dim = base * 4
        self.stem = nn.Conv2d(channels, base, 3, padding=1)
        self.time_mlp = nn.Sequential(
            nn.Linear(base, t_dim),
            nn.SiLU(),
            nn.Linear(t_dim, t_dim),
        )

        # encoder
        size = image_size
        ch = base
        skip_ch = [base]
        self.encoder = nn.ModuleList()
        last = len(mults) - 1
        for i, mult in enumerate(mults):
            for _ in range(blocks):
                self.encoder.append(Level(ch, base * mult, t_dim, dropout, size in attn_at))
                ch = base * mult
                skip_ch.append(ch)
            if i != last:
                self.encoder.append(nn.Conv2d(ch, ch, 3, stride=2, padding=1))
                skip_ch.append(ch)
                size = size // 2

        # bottleneck
        self.mid1 = Level(ch, ch, t_dim, dropout, True)
        self.mid2 = Level(ch, ch, t_dim, dropout, False)

        # decoder
        self.decoder = nn.ModuleList()
        for i in range(last, -1, -1):
            out_ch = base * mults[i]
            for _ in range(blocks + 1):
                self.decoder.append(Level(ch + skip_ch.pop(), out_ch, t_dim, dropout, size in attn_at))
                ch = out_ch
            if i > 0:
                self.decoder.append(nn.Sequential(
                    nn.Upsample(scale_factor=2),
                    nn.Conv2d(ch, ch, 3, padding=1),
                ))
                size = size * 2

        self.head = nn.Sequential(
            nn.GroupNorm(32, ch),
            nn.SiLU(),
            zero_init(nn.Conv2d(ch, channels, 3, padding=1)),
        )

    def forward(self, x, t):
        t_emb = self.time_mlp(time_embedding(t, self.base))
        x = self.stem(x)
        feats = [x]
        for layer in self.encoder:
            if isinstance(layer, Level):
                x = layer(x, t_emb)
            else:
                x = layer(x)
            feats.append(x)
        x = self.mid1(x, t_emb)
        x = self.mid2(x, t_emb)
        for layer in self.decoder:
            if not isinstance(layer, Level):
                x = layer(x)
                continue
            x = torch.cat([x, feats.pop()], dim=1)
            x = layer(x, t_emb)
        return self.head(x)
