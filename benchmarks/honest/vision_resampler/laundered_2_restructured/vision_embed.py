"""Patch embedding and fixed position embedding."""

import torch
from torch import nn


def _axis_embedding(n, width, theta=1e4, device=None):
    k = width // 2
    idx = torch.arange(k, dtype=torch.float32, device=device)
    inv = torch.pow(theta, -(idx / k))
    ang = torch.outer(torch.arange(n, device=device).float(), inv)
    return torch.cat((torch.sin(ang), torch.cos(ang)), -1)


def grid_embedding(ny, nx, width, device=None):
    if width % 4:
        raise ValueError("width must be divisible by 4")
    half = width // 2
    ey = _axis_embedding(ny, half, device=device).repeat_interleave(nx, dim=0)
    ex = _axis_embedding(nx, half, device=device).repeat(ny, 1)
    return torch.cat((ey, ex), 1)


def cut_patches(view, size):
    c, h, w = view.shape
    grid = view.view(c, h // size, size, w // size, size)
    return grid.permute(1, 3, 0, 2, 4).flatten(0, 1).flatten(1)


def stack_padded(seqs):
    """Right-pad with zeros to the longest sequence; also tells real rows from padding."""
    longest = max(s.shape[0] for s in seqs)
    out = seqs[0].new_zeros(len(seqs), longest, seqs[0].shape[1])
    keep = torch.zeros(len(seqs), longest, dtype=torch.bool, device=out.device)
    for i, s in enumerate(seqs):
        out[i, : s.shape[0]] = s
        keep[i, : s.shape[0]] = True
    return out, keep


class ViewEmbedding(nn.Module):
    def __init__(self, patch=14, width=768):
        super().__init__()
        self.patch, self.width = patch, width
        self.linear = nn.Linear(patch * patch * 3, width)
        self.ln = nn.LayerNorm(width)

    def embed_one(self, view):
        flat = cut_patches(view, self.patch)
        return self.ln(self.linear(flat))

    def forward(self, views):
        feats = [self.embed_one(v) for v in views]
        pos = [
            grid_embedding(v.shape[-2] // self.patch, v.shape[-1] // self.patch, self.width, v.device)
            for v in views
        ]
        feats, keep = stack_padded(feats)
        pos, _ = stack_padded(pos)
        return feats, pos, keep
