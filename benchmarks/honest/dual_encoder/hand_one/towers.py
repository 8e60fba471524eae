"""The two encoders, as functions of one flat dict of tensors.

Letters in shapes: B batch, T tokens, d width, h heads, f head width, e embedding.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class TowerConfig:
    width: int
    layers: int
    heads: int


@dataclass(frozen=True)
class DualConfig:
    image: TowerConfig = TowerConfig(256, 8, 4)
    text: TowerConfig = TowerConfig(256, 6, 4)
    size: int = 112
    patch: int = 14
    registers: int = 4
    vocab: int = 257  # bytes and padding
    length: int = 96
    embed: int = 192
    temperature: float = 0.07


PAD = 256


def init(c, seed=0):
    g = torch.Generator().manual_seed(seed)
    p = {}

    def normal(name, *shape, std):
        p[name] = std * torch.randn(*shape, generator=g)

    def tower(name, t):
        d, f = t.width, t.width // t.heads
        for l in range(t.layers):
            k = f"{name}.{l}"
            normal(f"{k}.qkv", 3, d, t.heads, f, std=d**-0.5)
            normal(f"{k}.out", t.heads, f, d, std=(2 * t.layers * d) ** -0.5)
            normal(f"{k}.up", d, 4 * d, std=d**-0.5)
            normal(f"{k}.down", 4 * d, d, std=(8 * t.layers * d) ** -0.5)
            p[f"{k}.up_bias"], p[f"{k}.down_bias"] = torch.zeros(4 * d), torch.zeros(d)
            p[f"{k}.gain1"], p[f"{k}.shift1"] = torch.ones(d), torch.zeros(d)
            p[f"{k}.gain2"], p[f"{k}.shift2"] = torch.ones(d), torch.zeros(d)
        p[f"{name}.gain"], p[f"{name}.shift"] = torch.ones(d), torch.zeros(d)
        normal(f"{name}.project", d, c.embed, std=d**-0.5)

    n, pixels = c.size // c.patch, 3 * c.patch**2
    normal("image.patch", pixels, c.image.width, std=pixels**-0.5)
    normal("image.row", n, c.image.width, std=0.02)  # a position is the sum of its row and its column
    normal("image.column", n, c.image.width, std=0.02)
    normal("image.extra", 1 + c.registers, c.image.width, std=0.02)  # read-out token, then registers
    normal("text.token", c.vocab, c.text.width, std=0.02)
    normal("text.place", c.length, c.text.width, std=0.02)
    tower("image", c.image)
    tower("text", c.text)
    p["log_beta"] = -torch.tensor(c.temperature).log()  # inverse temperature
    return {k: t.requires_grad_() for k, t in p.items()}


def norm(p, name, k, x):
    return F.layer_norm(x, x.shape[-1:], p[f"{name}.gain{k}"], p[f"{name}.shift{k}"])


def block(p, name, x, hide):
    """Pre-norm attention and MLP; hide (B, T) marks tokens that nobody may look at."""
    q, k, v = torch.einsum("btd,xdhf->xbhtf", norm(p, name, 1, x), p[f"{name}.qkv"])
    s = torch.einsum("bhtf,bhsf->bhts", q, k) * q.shape[-1] ** -0.5
    if hide is not None:
        s = s.masked_fill(hide[:, None, None, :], -torch.inf)
    x = x + torch.einsum("bhts,bhsf,hfd->btd", s.softmax(-1), v, p[f"{name}.out"])
    y = F.gelu(norm(p, name, 2, x) @ p[f"{name}.up"] + p[f"{name}.up_bias"])
    return x + y @ p[f"{name}.down"] + p[f"{name}.down_bias"]


def unit(x):
    return x / x.norm(dim=-1, keepdim=True).clamp(min=1e-8)


def encode_image(p, c, x):
    """(B, 3, size, size) in 0..1 -> unit vectors (B, e)."""
    n = c.size // c.patch
    x = (2 * x - 1).reshape(len(x), 3, n, c.patch, n, c.patch)
    x = torch.einsum("bciujv,cuvd->bijd", x, p["image.patch"].reshape(3, c.patch, c.patch, -1))
    x = x + p["image.row"][:, None] + p["image.column"]
    x = torch.cat([p["image.extra"].expand(len(x), -1, -1), x.flatten(1, 2)], 1)
    for l in range(c.image.layers):
        x = block(p, f"image.{l}", x, None)
    return unit(norm(p, "image", "", x[:, 0]) @ p["image.project"])


def encode_text(p, c, ids):
    """(B, T) padded with PAD -> unit vectors (B, e), from the mean over the real tokens."""
    pad = ids == PAD
    x = p["text.token"][ids] + p["text.place"][: ids.shape[1]]
    for l in range(c.text.layers):
        x = block(p, f"text.{l}", x, pad)
    x = norm(p, "text", "", x)
    keep = (~pad).to(x.dtype)
    mean = torch.einsum("btd,bt->bd", x, keep) / keep.sum(1, keepdim=True)
    return unit(mean @ p["text.project"])


def tokenise(texts, c):
    """UTF-8 bytes, cut at c.length, padded to the longest; an empty text is one blank."""
    rows = [torch.tensor(list((t or " ").encode()[: c.length])) for t in texts]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)
