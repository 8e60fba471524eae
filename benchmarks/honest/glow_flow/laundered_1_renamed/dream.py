# Renders new pictures from a saved model; given --pictures, morphs one into another instead.
# The result is one tiled array, channels last, in a .npy file.
import argparse

import numpy as np
import torch

from fit import read_pictures
from rivulet import Rivulet


def mosaic(pictures, across):
    total, ch, rows, cols = pictures.shape
    down = total // across
    cells = pictures[:down * across].view(
        down,
        across,
        ch,
        rows,
        cols,
    )
    return cells.permute(0, 3, 1, 4, 2).reshape(
        down * rows,
        across * cols,
        ch,
    ).cpu().numpy()


if __name__ == '__main__':
    cli = argparse.ArgumentParser()
    cli.add_argument('snapshot')
    cli.add_argument('--target', default='mosaic.npy')
    cli.add_argument('--how-many', type=int, default=64)
    cli.add_argument('--across', type=int, default=8)
    cli.add_argument('--heat', type=float, default=0.7)
    cli.add_argument('--pictures')
    cli.add_argument('--ends', type=int, nargs=2, default=(0, 1))
    opts = cli.parse_args()
    saved = torch.load(opts.snapshot, map_location='cpu')
    net = Rivulet(**saved['settings']).eval()
    net.load_state_dict(saved['weights'])
    if opts.pictures:
        pictures = read_pictures(opts.pictures)
        rendered = net.morph(
            pictures[opts.ends[0]],
            pictures[opts.ends[1]],
            opts.across,
        )
    else:
        rendered = net.dream(opts.how_many, opts.heat)
    np.save(opts.target, mosaic(rendered, opts.across))
