"""python main.py fit images.npy | python main.py draw pool.pt"""
import argparse

import numpy as np

from fitting import Fitter, restore
from network import between, draw
from pixels import read_array, tile


def run_fit(opts):
    Fitter(opts).run()


def run_draw(opts):
    net = restore(opts.weights)
    if opts.images is None:
        pictures = draw(net, opts.temperature, opts.count)
    else:
        stored = read_array(opts.images)
        left, right = (stored[i] for i in opts.ends)
        pictures = between(net, left, right, opts.per_row)
    np.save(opts.out, tile(pictures, opts.per_row))


def add_fit_options(sub):
    sub.add_argument("images")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--out", default="pool.pt")
    sub.add_argument("--scales", type=int, default=3)
    sub.add_argument("--units", type=int, default=16)
    sub.add_argument("--hidden", type=int, default=256)
    sub.add_argument("--depth", type=int, default=8)
    sub.add_argument("--use-logit", action="store_true")
    sub.add_argument("--dense", action="store_true", help="do not factor the channel matrices")
    sub.add_argument("--epochs", type=int, default=50)
    sub.add_argument("--batch", type=int, default=64)
    sub.add_argument("--rate", type=float, default=5e-4)
    sub.add_argument("--warmup", type=int, default=1000)
    sub.add_argument("--max-norm", type=float, default=50.0)
    sub.add_argument("--average", type=float, default=0.999)
    sub.set_defaults(run=run_fit)


def add_draw_options(sub):
    sub.add_argument("weights")
    sub.add_argument("--images", help="go from one of these images to another")
    sub.add_argument("--ends", nargs=2, type=int, default=(0, 1))
    sub.add_argument("--temperature", type=float, default=0.7)
    sub.add_argument("--per-row", type=int, default=8)
    sub.add_argument("--count", type=int, default=64)
    sub.add_argument("--out", default="tiles.npy")
    sub.set_defaults(run=run_draw)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    add_fit_options(commands.add_parser("fit"))
    add_draw_options(commands.add_parser("draw"))
    opts = parser.parse_args()
    opts.run(opts)


if __name__ == "__main__":
    main()
