"""Conformer encoder with a CTC head."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NET = {"dim": 256, "heads": 4, "layers": 12, "kernel": 15, "span": 64, "drop": 0.1, "layerdrop": 0.0}


def visible(n: Tensor, t: int) -> Tensor:
    """Lengths (B,) -> (B, t), True on real frames."""
    return torch.arange(t, device=n.device) < n[:, None]


def shrink(n: Tensor) -> Tensor:
    """Frames left after the two stride-2 convolutions."""
    return ((n + 1) // 2 + 1) // 2


class Stem(nn.Module):
    """Two stride-2 3x3 convolutions over time and mel, the second depthwise-separable: T -> T/4."""

    def __init__(self, mels: int, d: int, drop: float):
        super().__init__()
        self.c1 = nn.Conv2d(1, d // 2, 3, 2, 1)
        self.c2 = nn.Sequential(nn.Conv2d(d // 2, d // 2, 3, 2, 1, groups=d // 2), nn.Conv2d(d // 2, d, 1))
        self.out = nn.Linear(d * ((mels + 3) // 4), d)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        """(B, T, M), lengths (B,) -> (B, T/4, D)."""
        x = F.silu(self.c1(x[:, None]))
        # bias leaks into the padding; clear it or the batch changes the result
        x = x * visible((n + 1) // 2, x.shape[2])[:, None, :, None]
        return self.drop(self.out(F.silu(self.c2(x)).transpose(1, 2).flatten(2)))


class RelAttention(nn.Module):
    """Self-attention whose logits add q . e[j - i], e learned for clipped offsets."""

    def __init__(self, d: int, heads: int, span: int, drop: float):
        super().__init__()
        self.h, self.span, self.p = heads, span, drop
        self.ln = nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.e = nn.Parameter(torch.randn(heads, 2 * span + 1, d // heads) * 0.02)

    def bias(self, q: Tensor, mask: Tensor) -> Tensor:
        """q (B, H, T, d), mask (B, T) -> additive logits (B, H, T, T)."""
        i = torch.arange(q.shape[2], device=q.device)
        off = (i - i[:, None]).clamp(-self.span, self.span) + self.span
        b = torch.einsum("bhtd,hod->bhto", q * q.shape[-1] ** -0.5, self.e)
        return b.gather(3, off.expand(*b.shape[:2], -1, -1)).masked_fill(~mask[:, None, None], -1e4)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        q, k, v = self.qkv(self.ln(x)).unflatten(2, (3, self.h, -1)).permute(2, 0, 3, 1, 4)
        p = self.p if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=self.bias(q, mask), dropout_p=p)
        return self.out(y.transpose(1, 2).flatten(2))


class Conv(nn.Module):
    """Gate, depthwise convolution along time, swish."""

    def __init__(self, d: int, k: int):
        super().__init__()
        self.ln, self.mid = nn.LayerNorm(d), nn.LayerNorm(d)
        self.up, self.down = nn.Linear(d, 2 * d), nn.Linear(d, d)
        self.dw = nn.Conv1d(d, d, k, padding=k // 2, groups=d)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x = F.glu(self.up(self.ln(x))) * mask[..., None]
        return self.down(F.silu(self.mid(self.dw(x.mT).mT)))


def ffn(d: int, drop: float) -> nn.Sequential:
    """Pre-norm feed-forward."""
    return nn.Sequential(
        nn.LayerNorm(d), nn.Linear(d, 4 * d), nn.SiLU(), nn.Dropout(drop), nn.Linear(4 * d, d)
    )


class Block(nn.Module):
    """Half FFN, attention, convolution, half FFN, norm."""

    def __init__(self, c: dict):
        super().__init__()
        d = c["dim"]
        self.f1, self.f2 = ffn(d, c["drop"]), ffn(d, c["drop"])
        self.att, self.conv = RelAttention(d, c["heads"], c["span"], c["drop"]), Conv(d, c["kernel"])
        self.ln, self.drop = nn.LayerNorm(d), nn.Dropout(c["drop"])

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x = x + self.drop(self.f1(x)) / 2
        x = x + self.drop(self.att(x, mask))
        x = x + self.drop(self.conv(x, mask))
        return self.ln(x + self.drop(self.f2(x)) / 2)


class Recognizer(nn.Module):
    """Features -> log-probabilities over the vocabulary; id 0 is the blank."""

    def __init__(self, vocab: int, mels: int, cfg: dict | None = None):
        super().__init__()
        self.c = c = {**NET, **(cfg or {})}
        self.stem = Stem(mels, c["dim"], c["drop"])
        self.blocks = nn.ModuleList([Block(c) for _ in range(c["layers"])])
        self.head = nn.Linear(c["dim"], vocab)

    def forward(self, x: Tensor, n: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, M), (B,) -> log-probs (B, T/4, V), lengths (B,)."""
        x, n = self.stem(x, n), shrink(n)
        mask = visible(n, x.shape[1])
        for f in self.blocks:
            if not self.training or torch.rand(()) >= self.c["layerdrop"]:
                x = f(x, mask)
        return self.head(x).log_softmax(-1), n


def ctc(logp: Tensor, n: Tensor, y: Tensor, m: Tensor) -> Tensor:
    """CTC loss per target token; y is (B, U) padded, m its lengths."""
    loss = F.ctc_loss(logp.transpose(0, 1), y, n, m, blank=0, reduction="none", zero_infinity=True)
    return loss.sum() / m.sum().clamp(min=1)
