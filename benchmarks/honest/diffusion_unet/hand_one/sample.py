"""Sample images of one class from a checkpoint: python sample.py checkpoint.pt --label 3."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusion import SamplingConfig
from torch import Tensor
from train import load


def make_sheet(images: Tensor, *, cols: int) -> Tensor:
    """(B, C, H, W) in [-1, 1] -> one sheet (rows * H, cols * W, C) of bytes; empty cells stay black."""
    batch, channels, height, width = images.shape
    rows = (batch + cols - 1) // cols
    cells = torch.full((rows * cols, channels, height, width), -1.0)
    cells[:batch] = images.cpu()
    sheet = cells.reshape(rows, cols, channels, height, width).permute(0, 3, 1, 4, 2)
    sheet = sheet.reshape(rows * height, cols * width, channels)
    return ((sheet + 1.0) * 127.5).round().to(torch.uint8)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--label", type=int, default=0)
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--steps", type=int, default=SamplingConfig.num_steps)
    parser.add_argument("--guidance", type=float, default=SamplingConfig.guidance)
    parser.add_argument("--eta", type=float, default=SamplingConfig.eta)
    parser.add_argument("--out", type=Path, default=Path("samples.ppm"))
    args = parser.parse_args()

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    diffusion, unet = load(args.checkpoint, device=device)
    images = diffusion.sample(
        torch.full((args.count,), args.label, device=device),
        shape=(unet.in_channels, unet.image_size, unet.image_size),
        sampling=SamplingConfig(num_steps=args.steps, guidance=args.guidance, eta=args.eta),
    )
    sheet = make_sheet(images, cols=4)
    header = f"P6 {sheet.shape[1]} {sheet.shape[0]} 255\n".encode()
    args.out.write_bytes(header + sheet.numpy().tobytes())


if __name__ == "__main__":
    main()
