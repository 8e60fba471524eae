"""python sample.py ddpm.pt --n 8 --guide 2 --steps 50 [--eta 1] [--label 3]; writes one PNG per class row."""

import argparse
import struct
import zlib
from pathlib import Path

import torch
from diffusion import guided, sample
from torch import Tensor
from unet import UNet


def mosaic(x: Tensor, cols: int) -> Tensor:
    """(N, 3, S, S) in [-1, 1] -> uint8 (rows * S, cols * S, 3)."""
    x = x.unflatten(0, (-1, cols)).permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
    return ((x + 1) * 127.5).round().clamp(0, 255).byte().cpu()


def png(x: Tensor) -> bytes:
    """uint8 (H, W, 3) -> PNG file."""
    h, w, _ = x.shape
    rows = b"".join(b"\0" + bytes(r.flatten().tolist()) for r in x)
    parts = {b"IHDR": struct.pack(">2I5B", w, h, 8, 2, 0, 0, 0), b"IDAT": zlib.compress(rows), b"IEND": b""}
    chunks = [
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts.items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def main(a: argparse.Namespace) -> None:
    """Draw n images per requested class with the averaged weights."""
    ck = torch.load(a.ckpt, map_location=a.device, weights_only=True)
    net = UNet(ck["cfg"]).to(a.device).eval()
    net.load_state_dict(ck["net" if a.raw else "ema"])
    k, s = net.c["classes"], net.c["size"]
    if a.label is not None and not 0 <= a.label < k:
        raise SystemExit(f"label {a.label} is not below the {k} classes of this checkpoint")
    labels = [a.label] if a.label is not None else list(range(k))
    y = torch.tensor(labels, device=a.device).repeat_interleave(a.n) if k else None
    shape = (len(y) if k else a.n, net.c["chans"], s, s)
    x = sample(guided(net, y, a.guide), shape, a.steps, eta=a.eta, q=a.q, seed=a.seed, device=a.device)
    Path(a.out).write_bytes(png(mosaic(x, a.n)))
    print(f"{a.out}: {len(x)} images, {a.steps} steps, eta {a.eta}, guidance {a.guide}")


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("ckpt")
    p.add_argument("--out", default="samples.png")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--label", type=int)
    p.add_argument("--raw", action="store_true", help="use the weights as trained, not their average")
    p.add_argument("--n", type=int, default=8)
    p.add_argument("--steps", type=int, default=50)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--guide", type=float, default=2.0)
    p.add_argument("--eta", type=float, default=0.0)
    p.add_argument("--q", type=float, default=0.995, help="quantile of dynamic clipping; 1 = plain clamp")
    main(p.parse_args())
