"""Draw one line per picture: the original, what the net saw, what it filled in."""

import argparse

import torch
from PIL import Image
from torchvision import transforms as tv
from torchvision.utils import save_image

from learn_fill import CHANNEL_MEAN, CHANNEL_STD
from network import (
    FillSettings,
    PatchFiller,
    cut_tiles,
    glue_tiles,
)


@torch.no_grad()
def run() -> None:
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("weights")
    cli.add_argument("pictures", nargs="+")
    cli.add_argument("--sheet", default="sheet.png")
    cli.add_argument("--rng", type=int, default=0)
    flags = cli.parse_args()

    torch.manual_seed(flags.rng)
    saved = torch.load(flags.weights, map_location="cpu")
    opts = FillSettings(**saved["opts"])
    net = PatchFiller(opts).eval()
    net.load_state_dict(saved["net"])

    prepare = tv.Compose(
        [
            tv.Resize(opts.resolution),
            tv.CenterCrop(opts.resolution),
            tv.ToTensor(),
            tv.Normalize(CHANNEL_MEAN, CHANNEL_STD),
        ]
    )
    pile = torch.stack(
        [
            prepare(Image.open(file).convert("RGB"))
            for file in flags.pictures
        ]
    )
    _, guess, gone = net(pile)

    truth = cut_tiles(pile, opts.tile)
    # a net trained on whitened tiles needs each tile's real contrast and brightness
    if opts.whiten:
        guess = (
            guess
            * (truth.var(dim=-1, keepdim=True) + 1e-6).sqrt()
            + truth.mean(dim=-1, keepdim=True)
        )
    holes = gone[..., None]
    seen = glue_tiles(
        truth * (1 - holes),
        opts.tile,
        opts.colours,
    )
    painted = glue_tiles(
        truth * (1 - holes) + guess * holes,
        opts.tile,
        opts.colours,
    )

    lines = torch.stack(
        [pile, seen, painted],
        dim=1,
    ).flatten(0, 1)
    mu, sigma = (
        torch.tensor(triple).view(1, 3, 1, 1)
        for triple in (CHANNEL_MEAN, CHANNEL_STD)
    )
    save_image(
        (lines * sigma + mu).clamp(0, 1),
        flags.sheet,
        nrow=3,
    )
    print(f"wrote {flags.sheet}")


if __name__ == "__main__":
    run()
