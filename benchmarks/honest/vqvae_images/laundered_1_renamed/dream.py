import argparse
from pathlib import Path

import torch
from torchvision.utils import save_image

from fit import read_ckpt
from tile_lm import TileLM
from tokenizer import MosaicNet

if __name__ == "__main__":
    cli = argparse.ArgumentParser(description="Invent new pictures, tile by tile")
    cli.add_argument("--work", type=Path, default=Path("work"))
    cli.add_argument("--how-many", type=int, default=16)
    cli.add_argument("--temp", type=float, default=1.0)
    cli.add_argument("--keep-best", type=int, default=0)
    cli.add_argument("--rng", type=int, default=0)
    cli.add_argument("--png", default="dreams.png")
    opts = cli.parse_args()

    torch.manual_seed(opts.rng)
    tokenizer, lm = (
        read_ckpt(MosaicNet, opts.work / "tokenizer.pt"),
        read_ckpt(TileLM, opts.work / "lm.pt"),
    )
    grid = lm.dream(opts.how_many, opts.temp, opts.keep_best)
    save_image(
        tokenizer.to_pics(grid) / 2 + 0.5,
        opts.png,
        nrow=int(opts.how_many ** 0.5),
    )
