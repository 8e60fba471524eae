"""A decoder-only language model as functions of a flat dict of tensors.

Letters in shapes: B batch, T queries, S keys, d width, k key/value heads, r queries per key head, h head width,
f feed-forward width, V vocabulary.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class LMConfig:
    vocab: int
    width: int = 512
    layers: int = 8
    heads: int = 8
    kv_heads: int = 2
    ff: int = 1408
    context: int = 1024
    theta: float = 10000.0
    eps: float = 1e-6

    def __post_init__(self):
        if self.width % self.heads or self.heads % self.kv_heads:
            raise ValueError("heads must divide width, and kv_heads must divide heads")
        if self.head % 2:
            raise ValueError("rotary positions need an even head width")

    @property
    def head(self):
        return self.width // self.heads


def init(c, seed=0):
    g = torch.Generator().manual_seed(seed)
    d, k, r, h, f = c.width, c.kv_heads, c.heads // c.kv_heads, c.head, c.ff
    deep = (2 * c.layers) ** -0.5  # residual sum of 2L branches keeps unit variance
    p = {"embed": 0.02 * torch.randn(c.vocab, d, generator=g), "norm": torch.ones(d)}
    for l in range(c.layers):
        shapes = {
            "q": ((d, k, r, h), d**-0.5),
            "k": ((d, k, h), d**-0.5),
            "v": ((d, k, h), d**-0.5),
            "o": ((k, r, h, d), d**-0.5 * deep),
            "gate": ((d, f), d**-0.5),
            "up": ((d, f), d**-0.5),
            "down": ((f, d), f**-0.5 * deep),
        }
        for name, (shape, std) in shapes.items():
            p[f"{l}.{name}"] = std * torch.randn(*shape, generator=g)
        p[f"{l}.norm1"], p[f"{l}.norm2"] = torch.ones(d), torch.ones(d)
    return {n: t.requires_grad_() for n, t in p.items()}


def rms(x, gain, eps):
    x32 = x.float()
    return (x32 * torch.rsqrt(x32.square().mean(-1, keepdim=True) + eps)).to(x.dtype) * gain


def phases(c, start, length, device):
    """Unit complex numbers exp(i t w_j), (T, h/2)."""
    w = c.theta ** -(torch.arange(0, c.head, 2, device=device) / c.head)
    t = torch.arange(start, start + length, device=device)
    angle = torch.outer(t.float(), w)
    return torch.polar(torch.ones_like(angle), angle)


def rotate(x, z):
    """Turn consecutive pairs of the last axis of (B, T, ..., h) by the phases (T, h/2)."""
    z = z.reshape(z.shape[0], *[1] * (x.ndim - 3), z.shape[1])
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * z).flatten(-2).to(x.dtype)


def empty_cache(c, batch, device, dtype=torch.float32):
    """Keys and values of all layers, (L, 2, B, S, k, h), and how many positions are filled."""
    return {"kv": torch.zeros(c.layers, 2, batch, c.context, c.kv_heads, c.head, device=device, dtype=dtype), "n": 0}


def attend(p, c, l, x, z, mask, cache):
    q = rotate(torch.einsum("btd,dkrh->btkrh", x, p[f"{l}.q"]), z)
    k = rotate(torch.einsum("btd,dkh->btkh", x, p[f"{l}.k"]), z)
    v = torch.einsum("btd,dkh->btkh", x, p[f"{l}.v"])
    if cache is not None:
        n, t = cache["n"], x.shape[1]
        cache["kv"][l, 0, :, n : n + t] = k
        cache["kv"][l, 1, :, n : n + t] = v
        k, v = cache["kv"][l, :, :, : n + t]
    s = torch.einsum("btkrh,bskh->bkrts", q, k) * c.head**-0.5
    a = s.float().masked_fill(~mask, -torch.inf).softmax(-1).to(x.dtype)
    return torch.einsum("bkrts,bskh,krhd->btd", a, v, p[f"{l}.o"])


def swiglu(p, l, x):
    return (F.silu(x @ p[f"{l}.gate"]) * (x @ p[f"{l}.up"])) @ p[f"{l}.down"]


def forward(p, c, ids, cache=None):
    """Logits (B, T, V) of ids (B, T). With a cache, ids continue what it holds, and it grows in place."""
    n = cache["n"] if cache else 0
    t = ids.shape[1]
    if n + t > c.context:
        raise ValueError(f"{n + t} positions exceed the context of {c.context}")
    z = phases(c, n, t, ids.device)
    i, j = torch.arange(n, n + t, device=ids.device), torch.arange(n + t, device=ids.device)
    mask = i[:, None] >= j
    x = p["embed"][ids] * c.width**0.5
    for l in range(c.layers):
        x = x + attend(p, c, l, rms(x, p[f"{l}.norm1"], c.eps), z, mask, cache)
        x = x + swiglu(p, l, rms(x, p[f"{l}.norm2"], c.eps))
    if cache:
        cache["n"] = n + t
    return torch.einsum("btd,vd->btv", rms(x, p["norm"], c.eps), p["embed"])


def nll(p, c, ids, targets):
    """Negative log likelihood in nats, (B, T); zero where the target is -1."""
    z = forward(p, c, ids).float()
    return F.cross_entropy(z.transpose(1, 2), targets, ignore_index=-1, reduction="none")
