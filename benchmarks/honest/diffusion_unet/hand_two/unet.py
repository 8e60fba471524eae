"""UNet with attention and time embedding: (x, t, y) -> v."""

from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NET = {"size": 32, "chans": 3, "width": 128, "mults": (1, 2, 2, 2), "blocks": 2, "attn": (16, 8)}
NET |= {"head": 64, "drop": 0.1, "classes": 0}


def wave(t: Tensor, d: int, top: float = 1e4) -> Tensor:
    """Features (B, d) of times t (B,) in [0, 1]; periods from 1/1000 to 10 of the unit interval."""
    f = torch.exp(-log(top) * torch.arange(d // 2, device=t.device) / (d // 2 - 1)) * 2e3 * torch.pi
    a = t.float()[:, None] * f
    return torch.cat([a.cos(), a.sin()], 1)


def norm(c: int) -> nn.GroupNorm:
    """Groups of 16 channels where that divides, else of 8, 4, 2 or 1."""
    return nn.GroupNorm(c // next(g for g in (16, 8, 4, 2, 1) if c % g == 0), c)


def zero(m: nn.Module) -> nn.Module:
    """Start a residual branch as nothing."""
    for p in m.parameters():
        nn.init.zeros_(p)
    return m


class Res(nn.Module):
    """Residual block; the condition scales and shifts after the second norm. `mode` may halve or double."""

    def __init__(self, i: int, o: int, e: int, drop: float, mode: str = ""):
        super().__init__()
        self.mode, self.p = mode, drop
        self.n1, self.n2 = norm(i), norm(o)
        self.c1, self.c2 = nn.Conv2d(i, o, 3, padding=1), zero(nn.Conv2d(o, o, 3, padding=1))
        self.emb = nn.Linear(e, 2 * o)
        self.skip = nn.Conv2d(i, o, 1) if i != o else nn.Identity()

    def scale(self, x: Tensor) -> Tensor:
        """Change the resolution of (B, C, H, W) as `mode` says."""
        if self.mode == "down":
            return F.avg_pool2d(x, 2)
        return F.interpolate(x, scale_factor=2.0) if self.mode == "up" else x

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """(B, i, H, W), (B, e) -> (B, o, H', W')."""
        g, b = self.emb(e)[..., None, None].chunk(2, 1)
        y = self.c1(self.scale(F.silu(self.n1(x))))
        y = F.silu(self.n2(y) * (1 + g) + b)
        return self.skip(self.scale(x)) + self.c2(F.dropout(y, self.p, self.training))


class Attn(nn.Module):
    """Full self-attention over the pixels."""

    def __init__(self, c: int, head: int):
        super().__init__()
        self.h = max(1, c // head)
        self.n, self.qkv, self.out = norm(c), nn.Conv2d(c, 3 * c, 1), zero(nn.Conv2d(c, c, 1))

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """(B, C, H, W) -> same; e is not used, so that blocks are interchangeable."""
        q, k, v = self.qkv(self.n(x)).flatten(2).unflatten(1, (3, self.h, -1)).mT.unbind(1)
        return x + self.out(F.scaled_dot_product_attention(q, k, v).mT.reshape(x.shape))


class Chain(nn.ModuleList):
    """Blocks applied in turn."""

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """(B, C, H, W), (B, e) -> (B, C', H', W')."""
        for f in self:
            x = f(x, e)
        return x


class UNet(nn.Module):
    """`classes` > 0 adds a label input; label == classes means "no label"."""

    def __init__(self, cfg: dict | None = None):
        super().__init__()
        self.c = c = {**NET, **(cfg or {})}
        w, e, size = c["width"], 4 * c["width"], c["size"]
        if size % 2 ** (len(c["mults"]) - 1):
            raise ValueError(f"size {size} cannot be halved {len(c['mults']) - 1} times")
        self.time = nn.Sequential(nn.Linear(w, e), nn.SiLU(), nn.Linear(e, e))
        self.label = nn.Embedding(c["classes"] + 1, e) if c["classes"] else None
        self.stem = nn.Conv2d(c["chans"], w, 3, padding=1)

        def res(i: int, o: int, s: int, mode: str = "") -> Chain:
            attend = s in c["attn"] and not mode
            return Chain([Res(i, o, e, c["drop"], mode)] + [Attn(o, c["head"])] * attend)

        down, skips, ch, s = [], [w], w, size
        for n, m in enumerate(c["mults"]):
            for _ in range(c["blocks"]):
                down.append(res(ch, m * w, s))
                ch = m * w
                skips.append(ch)
            if n + 1 < len(c["mults"]):
                down.append(res(ch, ch, s, "down"))
                skips.append(ch)
                s //= 2
        self.mid = Chain([Res(ch, ch, e, c["drop"]), Attn(ch, c["head"]), Res(ch, ch, e, c["drop"])])
        up = []
        for n, m in reversed([*enumerate(c["mults"])]):
            for _ in range(c["blocks"] + 1):
                up.append(res(ch + skips.pop(), m * w, s))
                ch = m * w
            if n:
                up[-1].append(Res(ch, ch, e, c["drop"], "up"))
                s *= 2
        self.down, self.up = nn.ModuleList(down), nn.ModuleList(up)
        self.out = nn.Sequential(norm(ch), nn.SiLU(), zero(nn.Conv2d(ch, c["chans"], 3, padding=1)))

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """x (B, C, S, S), t (B,) in [0, 1], y (B,) labels -> (B, C, S, S)."""
        e = self.time(wave(t, self.c["width"]))
        if self.label is not None:
            e = e + self.label(torch.full_like(t, self.c["classes"], dtype=torch.long) if y is None else y)
        e = F.silu(e)
        hs = [self.stem(x)]
        for f in self.down:
            hs.append(f(hs[-1], e))
        x = self.mid(hs[-1], e)
        for f in self.up:
            x = f(torch.cat([x, hs.pop()], 1), e)
        return self.out(x)
