"""Images from a fitted model, or with --images a passage from one image to another; writes one
tiled .npy picture (H, W, C)."""
import argparse
import pickle

import jax
import numpy as np

from aquifer import Aquifer
from fill import open_images


def sheet(images, across):
    n, h, w, c = images.shape
    down = n // across
    cells = images[:down * across].reshape(down, across, h, w, c)
    return np.asarray(cells.transpose(0, 2, 1, 3, 4).reshape(down * h, across * w, c))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("fitted")
    parser.add_argument("--out", default="sheet.npy")
    parser.add_argument("--number", type=int, default=64)
    parser.add_argument("--across", type=int, default=8)
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images")
    parser.add_argument("--ends", type=int, nargs=2, default=(0, 1))
    args = parser.parse_args()
    with open(args.fitted, "rb") as f:
        stored = pickle.load(f)
    model = Aquifer(**stored["config"])
    if args.images:
        images = open_images(args.images)
        picture = model.apply(stored["variables"], images[args.ends[0]], images[args.ends[1]],
                              args.across, method=Aquifer.blend)
    else:
        picture = model.apply(stored["variables"], jax.random.PRNGKey(args.seed), args.number,
                              args.temperature, method=Aquifer.draw)
    np.save(args.out, sheet(picture, args.across))
