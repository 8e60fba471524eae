"""Patches -> embeddings -> a fixed number of language tokens per view."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CFG = {
    "side": 448, "patch": 14, "max_tiles": 9,  # image
    "vis_dim": 768, "vis_depth": 4, "vis_heads": 12,  # encoder
    "lm_dim": 2048, "heads": 16, "queries": 64, "depth": 2, "base": 10_000.0,  # resampler
}  # fmt: skip


def sincos(t: Tensor, dim: int, base: float = 1e4) -> Tensor:
    """Sine-cosine features of positions t (...,) -> (..., dim)."""
    f = base ** -torch.linspace(0, 1, dim // 2 + 1, device=t.device)[:-1]
    a = t[..., None].float() * f
    return torch.cat([a.sin(), a.cos()], -1)


def sincos2d(yx: Tensor, dim: int, base: float = 1e4) -> Tensor:
    """Grid positions (..., 2) -> (..., dim): half the channels for rows, half for columns."""
    assert dim % 4 == 0, f"dim must be a multiple of 4, got {dim}"
    return sincos(yx, dim // 2, base).flatten(-2)


def heads(x: Tensor, n: int) -> Tensor:
    """(B, L, n*d) -> (B, n, L, d)."""
    return x.unflatten(-1, (n, -1)).transpose(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor, n: int, mask: Tensor | None = None) -> Tensor:
    """Multi-head attention of projected q (B, Q, D) over k, v (B, L, D); mask (B, L) True = visible."""
    m = None if mask is None else mask[:, None, None]
    y = F.scaled_dot_product_attention(heads(q, n), heads(k, n), heads(v, n), attn_mask=m)
    return y.transpose(1, 2).flatten(2)


def mlp(d: int, mult: int = 4) -> nn.Sequential:
    """The usual two-layer perceptron."""
    return nn.Sequential(nn.LayerNorm(d), nn.Linear(d, mult * d), nn.GELU(), nn.Linear(mult * d, d))


class Layer(nn.Module):
    """Pre-norm self-attention layer of the patch encoder."""

    def __init__(self, d: int, n: int):
        super().__init__()
        self.n, self.ln = n, nn.LayerNorm(d)
        self.qkv, self.out, self.ff = nn.Linear(d, 3 * d), nn.Linear(d, d), mlp(d)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)."""
        x = x + self.out(attend(*self.qkv(self.ln(x)).chunk(3, -1), self.n, mask))
        return x + self.ff(x)


class Encoder(nn.Module):
    """A small ViT on packed patches."""

    def __init__(self, cfg: dict):
        super().__init__()
        d = cfg["vis_dim"]
        self.base = cfg["base"]
        self.stem = nn.Linear(3 * cfg["patch"] ** 2, d)
        self.layers = nn.ModuleList([Layer(d, cfg["vis_heads"]) for _ in range(cfg["vis_depth"])])

    def forward(self, patches: Tensor, yx: Tensor, mask: Tensor) -> Tensor:
        """(B, L, 3pp) -> (B, L, vis_dim)."""
        x = self.stem(patches)
        x = x + sincos2d(yx, x.shape[-1], self.base).to(x.dtype)
        for f in self.layers:
            x = f(x, mask)
        return x


class Cross(nn.Module):
    """Queries read the patches; positions only steer where to look, they are not part of the values."""

    def __init__(self, d: int, n: int):
        super().__init__()
        self.n = n
        self.ln = nn.LayerNorm(d)
        self.q, self.k, self.v, self.out = (nn.Linear(d, d, bias=False) for _ in range(4))
        self.ff = mlp(d)

    def forward(self, z: Tensor, x: Tensor, zpos: Tensor, xpos: Tensor, mask: Tensor) -> Tensor:
        """Queries z (B, Q, D), patches x (B, L, D) -> (B, Q, D)."""
        z = z + self.out(attend(self.q(self.ln(z) + zpos), self.k(x + xpos), self.v(x), self.n, mask))
        return z + self.ff(z)


class Resampler(nn.Module):
    """Any number of patches in, cfg["queries"] tokens out."""

    def __init__(self, cfg: dict):
        super().__init__()
        d, q = cfg["lm_dim"], cfg["queries"]
        self.base = cfg["base"]
        self.z = nn.Parameter(torch.randn(q, d) * 0.02)
        self.inp = nn.Sequential(nn.Linear(cfg["vis_dim"], d, bias=False), nn.LayerNorm(d))
        self.blocks = nn.ModuleList([Cross(d, cfg["heads"]) for _ in range(cfg["depth"])])
        self.out = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, d, bias=False))
        s = round(q**0.5)
        assert s * s == q, f"queries must be a square number, got {q}"
        self.register_buffer(
            "anchor", torch.cartesian_prod(*[(torch.arange(s) + 0.5) / s] * 2), persistent=False
        )

    def forward(self, x: Tensor, yx: Tensor, mask: Tensor) -> Tensor:
        """(B, L, vis_dim) -> (B, Q, lm_dim)."""
        x, d = self.inp(x), self.z.shape[-1]
        xpos = sincos2d(yx, d, self.base).to(x.dtype)
        # each query starts out looking at its own cell of the view, whatever the view's shape
        hw = yx.masked_fill(~mask[..., None], 0).amax(1, keepdim=True) + 1
        zpos = sincos2d(self.anchor * hw - 0.5, d, self.base).to(x.dtype)
        z = self.z.expand(len(x), -1, -1)
        for f in self.blocks:
            z = f(z, x, zpos, xpos, mask)
        return self.out(z)


class Connector(nn.Module):
    """Encoder and resampler; plug in a pretrained encoder by passing one with the same signature."""

    def __init__(self, cfg: dict | None = None, encoder: nn.Module | None = None):
        super().__init__()
        self.cfg = cfg = {**CFG, **(cfg or {})}
        self.encoder, self.resampler = encoder or Encoder(cfg), Resampler(cfg)

    def forward(self, patches: Tensor, yx: Tensor, mask: Tensor) -> Tensor:
        """Packed views -> (views, queries, lm_dim)."""
        return self.resampler(self.encoder(patches, yx, mask), yx, mask)


def splice(text: Tensor, ids: Tensor, vis: Tensor, slot: int) -> Tensor:
    """Put visual tokens vis (V, Q, D) into text embeddings (B, T, D) wherever ids (B, T) hold the slot id."""
    hole, need = ids == slot, vis.shape[0] * vis.shape[1]
    if int(hole.sum()) != need:
        raise ValueError(f"prompt has {int(hole.sum())} image slots, images fill {need}")
    return text.masked_scatter(hole[..., None], vis.to(text.dtype))
