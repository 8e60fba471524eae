"""Pieces of the encoder."""

import torch
from torch import nn
from torch.nn import functional as F

from fbank import padding_free


class FrameStacker(nn.Module):
    """Time and frequency are halved twice."""

    def __init__(self, n_mel, width):
        super().__init__()
        self.down1 = nn.Conv2d(1, width, 3, 2, 1)
        self.down2 = nn.Conv2d(width, width, 3, 2, 1)
        self.to_width = nn.Linear(((n_mel + 3) // 4) * width, width)

    @staticmethod
    def halve(conv, y, n):
        n = (n + 1).div(2, rounding_mode="floor")
        y = conv(y).relu()
        keep = padding_free(n, y.size(2)).unsqueeze(1).unsqueeze(-1)
        return y * keep, n

    def forward(self, y, n):
        y, n = self.halve(self.down1, y[:, None], n)
        y, n = self.halve(self.down2, y, n)
        y = y.transpose(1, 2).flatten(2)
        return self.to_width(y), n


def half_step_ffn(width, mult, p):
    return nn.ModuleDict(
        {
            "ln": nn.LayerNorm(width),
            "up": nn.Linear(width, mult * width),
            "down": nn.Linear(mult * width, width),
            "drop": nn.Dropout(p),
        }
    )


def run_ffn(parts, y):
    z = parts["up"](parts["ln"](y))
    z = parts["drop"](z * torch.sigmoid(z))
    return y + parts["drop"](parts["down"](z)) / 2


class ConformerLayer(nn.Module):
    def __init__(self, width=256, heads=4, mult=4, kernel=31, p=0.1, clip=128):
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError("kernel has to be odd")
        self.heads, self.clip, self.scale = heads, clip, (width // heads) ** -0.5
        self.ffn_first = half_step_ffn(width, mult, p)
        self.ffn_last = half_step_ffn(width, mult, p)
        self.ln_last = nn.LayerNorm(width)
        # attention
        self.att_ln = nn.LayerNorm(width)
        self.att_in = nn.Linear(width, width * 3)
        self.rel = nn.Embedding(clip * 2 + 1, width // heads)
        self.rel_bias = nn.Parameter(torch.zeros(heads, 1, width // heads))
        self.att_out = nn.Linear(width, width)
        # convolution
        self.conv_ln = nn.LayerNorm(width)
        self.conv_in = nn.Linear(width, width * 2)
        self.conv_dw = nn.Conv1d(width, width, kernel, 1, (kernel - 1) // 2, groups=width)
        self.conv_mid_ln = nn.LayerNorm(width)
        self.conv_out = nn.Linear(width, width)
        self.drop = nn.Dropout(p)

    def relative_index(self, t, device):
        i = torch.arange(t, device=device)
        rel = i.unsqueeze(0) - i.unsqueeze(1)
        return torch.clamp(rel, -self.clip, self.clip) + self.clip

    def attend(self, y, keep):
        b, t, w = y.size()
        projected = self.att_in(self.att_ln(y))
        q, k, v = (
            part.view(b, t, self.heads, -1).transpose(1, 2) for part in projected.chunk(3, dim=-1)
        )
        content = torch.einsum("bhid,bhjd->bhij", q, k)
        per_offset = torch.matmul(q + self.rel_bias, self.rel.weight.T)
        idx = self.relative_index(t, y.device)[None, None].expand_as(content)
        position = torch.gather(per_offset, -1, idx)
        att = self.scale * (content + position)
        lowest = torch.finfo(att.dtype).min
        att = torch.where(keep[:, None, None, :], att, lowest)
        att = self.drop(torch.softmax(att, -1))
        ctx = torch.matmul(att, v).permute(0, 2, 1, 3).contiguous().view(b, t, w)
        return y + self.drop(self.att_out(ctx))

    def convolve(self, y, keep):
        value, gate = self.conv_in(self.conv_ln(y)).chunk(2, -1)
        z = value * gate.sigmoid()
        # otherwise the kernel would see what is beyond the end
        z = z * keep[:, :, None]
        z = self.conv_dw(z.permute(0, 2, 1)).permute(0, 2, 1)
        z = self.conv_out(F.silu(self.conv_mid_ln(z)))
        return y + self.drop(z)

    def forward(self, y, keep):
        y = run_ffn(self.ffn_first, y)
        y = self.convolve(self.attend(y, keep), keep)
        return self.ln_last(run_ffn(self.ffn_last, y))
