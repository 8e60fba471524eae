"""Usage: `fit.py tokenizer FOLDER` first, `fit.py lm FOLDER` afterwards."""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader
from torchvision import transforms as T
from torchvision.datasets import ImageFolder
from torchvision.utils import save_image

from tile_lm import TileLM
from tokenizer import MosaicNet

hardware = "cuda" if torch.cuda.is_available() else "cpu"


def open_pictures(opts):
    pipeline = [
        T.Resize(opts.pixels),
        T.CenterCrop(opts.pixels),
        T.RandomHorizontalFlip(),
        T.ToTensor(),
        T.Normalize([0.5] * 3, [0.5] * 3),
    ]
    pictures = ImageFolder(opts.folder, T.Compose(pipeline))
    return DataLoader(
        pictures,
        opts.batch,
        shuffle=True,
        num_workers=4,
        drop_last=True,
    )


def write_ckpt(net, where):
    torch.save(
        {"hparams": net.hparams, "weights": net.state_dict()},
        where,
    )


def read_ckpt(kind, where):
    ckpt = torch.load(where, map_location=hardware)
    net = kind(**ckpt["hparams"]).to(hardware)
    net.load_state_dict(ckpt["weights"])
    return net.eval()


def fit_tokenizer(opts, batches):
    net = MosaicNet(n_tiles=opts.tiles).to(hardware)
    adam = torch.optim.Adam(net.parameters(), lr=opts.rate)
    for rnd in range(opts.rounds):
        for i, (pics, _) in enumerate(batches):
            pics = pics.to(hardware)
            rebuilt, pull, stats = net(pics)
            pixel_err = F.mse_loss(rebuilt, pics)
            adam.zero_grad()
            (pixel_err + opts.pull_weight * pull).backward()
            adam.step()
            if i % 100 == 0:
                print(
                    f"round {rnd} batch {i} | pixels {pixel_err.item():.4f} | "
                    f"pull {pull.item():.4f} | spread {stats['spread']:.1f} | "
                    f"revived {stats['revived']}"
                )
        sheet = torch.cat([pics[:8], rebuilt[:8].detach()]) / 2 + 0.5
        save_image(
            sheet.clamp(0, 1),
            opts.dest / f"check_{rnd:03d}.png",
            nrow=8,
        )
        write_ckpt(net, opts.dest / "tokenizer.pt")


def fit_lm(opts, batches):
    tokenizer = read_ckpt(MosaicNet, opts.dest / "tokenizer.pt")
    lm = TileLM(tokenizer.hparams["n_tiles"], opts.pixels // 4).to(hardware)
    adamw = torch.optim.AdamW(
        lm.parameters(), lr=opts.rate, weight_decay=0.01
    )
    for rnd in range(opts.rounds):
        running = 0.0
        for pics, _ in batches:
            cost = lm.nll(tokenizer.to_tiles(pics.to(hardware)))
            adamw.zero_grad()
            cost.backward()
            torch.nn.utils.clip_grad_norm_(lm.parameters(), 1.0)
            adamw.step()
            running += cost.item()
        print(f"round {rnd} | nats per tile {running / len(batches):.4f}")
        write_ckpt(lm, opts.dest / "lm.pt")


if __name__ == "__main__":
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("part", choices=["tokenizer", "lm"])
    cli.add_argument("folder", help="pictures, sorted into one subfolder per label")
    cli.add_argument("--dest", type=Path, default=Path("work"))
    cli.add_argument("--pixels", type=int, default=64)
    cli.add_argument("--tiles", type=int, default=512)
    cli.add_argument(
        "--pull-weight",
        type=float,
        default=0.25,
        help="how strongly features are drawn to their tiles",
    )
    cli.add_argument("--batch", type=int, default=64)
    cli.add_argument("--rounds", type=int, default=50)
    cli.add_argument("--rate", type=float, default=3e-4)
    opts = cli.parse_args()
    opts.dest.mkdir(parents=True, exist_ok=True)
    {"tokenizer": fit_tokenizer, "lm": fit_lm}[opts.part](
        opts, open_pictures(opts)
    )
