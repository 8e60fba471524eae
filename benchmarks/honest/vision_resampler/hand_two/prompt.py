"""Text side: placeholders for thumbnails and tiles, and a byte tokenizer to try them with."""

import re

import torch
from torch import Tensor

IMAGE, SLOT = "<|image|>", "<|slot|>"
SPECIAL = ["<|pad|>", SLOT, "<|view|>", "<|/view|>", "<|tile|>", "<|/tile|>", "<|row|>"]
VOCAB = {s: 256 + i for i, s in enumerate(SPECIAL)}


def placeholder(grid: tuple[int, int], q: int) -> str:
    """Thumbnail first, then the tiles in reading order with a row mark after every row."""
    r, c = grid
    row = f"<|tile|>{SLOT * q}<|/tile|>" * c + "<|row|>"
    return f"<|view|>{SLOT * q}<|/view|>" + row * r


def expand(prompt: str, grids: list[tuple[int, int]], q: int) -> str:
    """Replace the n-th <|image|> by the placeholder of the n-th image."""
    parts = prompt.split(IMAGE)
    if len(parts) - 1 != len(grids):
        raise ValueError(f"{len(parts) - 1} {IMAGE} in the prompt for {len(grids)} images")
    return parts[0] + "".join(placeholder(g, q) + s for g, s in zip(grids, parts[1:], strict=True))


def encode(s: str) -> list[int]:
    """Bytes, except that special tokens are one id each."""
    bits = re.split("(" + "|".join(map(re.escape, SPECIAL)) + ")", s)
    return [t for b in bits for t in ([VOCAB[b]] if b in VOCAB else b.encode())]


def collate(texts: list[str]) -> tuple[Tensor, Tensor]:
    """Strings -> ids (B, T) padded on the left, mask (B, T)."""
    seqs = [encode(s) for s in texts]
    n = max(map(len, seqs))
    ids = torch.tensor([[VOCAB["<|pad|>"]] * (n - len(s)) + s for s in seqs])
    return ids, ids != VOCAB["<|pad|>"]
