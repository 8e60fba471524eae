"""Draw samples, or with --images walk between two of them; writes a .npy grid (H, W, C)."""
import argparse

import numpy as np
import torch

from flow import Glow
from train import load_images


def grid(images, columns):
    n, c, h, w = images.shape
    rows = n // columns
    tiles = images[:rows * columns].view(rows, columns, c, h, w)
    return tiles.permute(0, 3, 1, 4, 2).reshape(rows * h, columns * w, c).cpu().numpy()


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("checkpoint")
    p.add_argument("--out", default="grid.npy")
    p.add_argument("--count", type=int, default=64)
    p.add_argument("--columns", type=int, default=8)
    p.add_argument("--temperature", type=float, default=0.7)
    p.add_argument("--images")
    p.add_argument("--pair", type=int, nargs=2, default=(0, 1))
    args = p.parse_args()
    blob = torch.load(args.checkpoint, map_location="cpu")
    model = Glow(**blob["config"]).eval()
    model.load_state_dict(blob["model"])
    if args.images:
        images = load_images(args.images)
        result = model.interpolate(images[args.pair[0]], images[args.pair[1]], args.columns)
    else:
        result = model.sample(args.count, args.temperature)
    np.save(args.out, grid(result, args.columns))
