"""Decoder in the Llama manner. x (B,T,d) throughout."""
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Shape:
    V: int = 32000      # vocabulary
    d: int = 2048
    n: int = 22         # layers
    h: int = 32         # query heads
    g: int = 4          # key/value heads
    m: int = 5632       # width of the feed-forward part
    T: int = 2048       # longest sequence
    base: float = 1e4
    eps: float = 1e-5
    tie: bool = False


class RMS(nn.Module):
    def __init__(self, d, eps):
        super().__init__()
        self.w, self.eps = nn.Parameter(torch.ones(d)), eps

    def forward(self, x):
        y = x.float()
        return (y * (y.square().mean(-1, keepdim=True) + self.eps).rsqrt()).to(x.dtype) * self.w


def phases(k, T, base):
    # angles in double precision, cast at the end
    w = base ** (-torch.arange(0, k, 2, dtype=torch.float64) / k)
    a = torch.outer(torch.arange(T, dtype=torch.float64), w)
    return a.cos().float(), a.sin().float()


def rot(x, c, s):
    """Rotate pairs (i, i+k/2) of x (B,h,T,k); c, s (B,1,T,k/2)."""
    a, b = x.float().chunk(2, -1)
    return torch.cat((a * c - b * s, b * c + a * s), -1).to(x.dtype)


class Attn(nn.Module):
    def __init__(self, S):
        super().__init__()
        self.h, self.g, self.k = S.h, S.g, S.d // S.h
        self.wq = nn.Linear(S.d, S.h * self.k, bias=False)
        self.wk = nn.Linear(S.d, S.g * self.k, bias=False)
        self.wv = nn.Linear(S.d, S.g * self.k, bias=False)
        self.wo = nn.Linear(S.h * self.k, S.d, bias=False)

    def forward(self, x, c, s, M, past=None):
        B, T, _ = x.shape
        q = rot(self.wq(x).view(B, T, self.h, self.k).transpose(1, 2), c, s)
        k = rot(self.wk(x).view(B, T, self.g, self.k).transpose(1, 2), c, s)
        v = self.wv(x).view(B, T, self.g, self.k).transpose(1, 2)
        if past is not None:
            if past:
                k, v = torch.cat((past[0], k), 2), torch.cat((past[1], v), 2)
            past[:] = [k, v]
        r = self.h // self.g
        if r > 1:
            k, v = k.repeat_interleave(r, 1), v.repeat_interleave(r, 1)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=M)
        return self.wo(y.transpose(1, 2).reshape(B, T, -1))


class Layer(nn.Module):
    def __init__(self, S):
        super().__init__()
        self.n1, self.n2 = RMS(S.d, S.eps), RMS(S.d, S.eps)
        self.attn = Attn(S)
        self.gate = nn.Linear(S.d, S.m, bias=False)
        self.up = nn.Linear(S.d, S.m, bias=False)
        self.down = nn.Linear(S.m, S.d, bias=False)

    def forward(self, x, c, s, M, past=None):
        x = x + self.attn(self.n1(x), c, s, M, past)
        y = self.n2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Llama(nn.Module):
    def __init__(self, S):
        super().__init__()
        assert S.d % S.h == 0 and S.h % S.g == 0 and (S.d // S.h) % 2 == 0
        self.S = S
        self.emb = nn.Embedding(S.V, S.d)
        self.layers = nn.ModuleList(Layer(S) for _ in range(S.n))
        self.norm = RMS(S.d, S.eps)
        self.head = nn.Linear(S.d, S.V, bias=False)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, 0.0, 0.02)
        if S.tie:
            self.head.weight = self.emb.weight
        # no buffers: .to(bfloat16) would ruin the phases
        self.cs = phases(S.d // S.h, S.T, S.base)

    def forward(self, t, keep=None, cache=None):
        """t (B,T) tokens; keep (B,T0+T) true on real tokens, cache: list of n lists, filled in place."""
        T = t.shape[1]
        T0 = cache[0][0].shape[2] if cache and cache[0] else 0
        i = torch.arange(T0, T0 + T, device=t.device)
        M = (torch.arange(T0 + T, device=t.device)[None] <= i[:, None])[None, None]
        if keep is not None:
            # the diagonal stays open, otherwise rows of pure padding give nan
            own = torch.arange(T0 + T, device=t.device)[None] == i[:, None]
            M = (M & keep[:, None, None, :].bool()) | own
        self.cs = tuple(a.to(t.device) for a in self.cs)
        c, s = (a[i][None, None] for a in self.cs)
        x = self.emb(t)
        for l, f in enumerate(self.layers):
            x = f(x, c, s, M, None if cache is None else cache[l])
        return self.head(self.norm(x))
