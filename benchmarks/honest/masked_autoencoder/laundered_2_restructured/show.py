"""Show what Veilview makes of pictures: each line holds picture, veiled picture, painted picture."""
import sys
from argparse import ArgumentParser

import torch
from torchvision.utils import make_grid, save_image

from cells import cell_moments, from_cells, to_cells
from nets import Veilview
from options import recall
from pictures import open_pictures, to_screen


def compose(network, pics):
    options = network.options
    with torch.no_grad():
        painted, veiled = network.paint(pics)
    known = to_cells(options.cell, pics)
    if options.standardise:
        mean, deviation = cell_moments(known)
        painted = torch.addcmul(mean, painted, deviation)
    veiled = veiled.unsqueeze(-1)
    holed = known * (1 - veiled)
    columns = [pics]
    for cells in (holed, holed + veiled * painted):
        columns.append(from_cells(options.cell, options.planes, cells))
    return [pic for line in zip(*columns) for pic in line]


def main():
    flags = ArgumentParser(description=__doc__)
    flags.add_argument("start", help="what run_pretext stored")
    flags.add_argument("paths", nargs="+", metavar="picture")
    flags.add_argument("--seed", default=0, type=int)
    flags.add_argument("--into", default="painted.png")
    flags = flags.parse_args()

    options, weights = recall(flags.start)
    network = Veilview(options)
    network.load_state_dict(weights)
    network.eval()
    torch.manual_seed(flags.seed)
    shown = to_screen(torch.stack(compose(network, open_pictures(flags.paths, options.pixels))))
    save_image(make_grid(shown, nrow=3), flags.into)
    sys.stdout.write(f"painted {len(flags.paths)} pictures into {flags.into}\n")


if __name__ == "__main__":
    main()
