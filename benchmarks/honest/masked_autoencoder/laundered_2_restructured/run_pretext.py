"""Train Veilview on pictures without labels."""
from argparse import ArgumentParser
from pathlib import Path

import torch

from nets import Veilview
from options import VeilOptions, store
from pictures import pretext_loader
from teaching import Teacher, pick_device, two_groups


def read_flags():
    flags = ArgumentParser(description="Train Veilview on pictures without labels.")
    flags.add_argument("folder", help="pictures, in one subfolder or more")
    for name, default in (("passes", 400), ("rise", 20), ("batch", 256), ("pixels", 96), ("cell", 8),
                          ("jobs", 4), ("store-each", 20), ("seed", 0)):
        flags.add_argument(f"--{name}", type=int, default=default)
    for name, default in (("rate", 1.5e-4), ("shrink", 0.05), ("veil", 0.75)):
        flags.add_argument(f"--{name}", type=float, default=default)
    flags.add_argument("--plain-goal", action="store_true", help="paint pixels as they are")
    flags.add_argument("--into", type=Path, default=Path("veilview"))
    return flags.parse_args()


def one_pass(network, loader, teacher):
    network.train()
    losses = []
    for pics, _ in loader:
        pics = pics.to(teacher.device, non_blocking=True)
        losses.append(teacher.learn(lambda: network(pics)))
    return sum(losses) / len(losses)


def main():
    flags = read_flags()
    flags.into.mkdir(exist_ok=True, parents=True)
    torch.manual_seed(flags.seed)
    device = pick_device()

    options = VeilOptions(pixels=flags.pixels, cell=flags.cell, veil=flags.veil,
                          standardise=not flags.plain_goal)
    network = Veilview(options).to(device)
    loader = pretext_loader(flags.folder, flags.pixels, flags.batch, flags.jobs)
    peak = flags.batch / 256 * flags.rate
    optimiser = torch.optim.AdamW(two_groups(flags.shrink, network), betas=(0.9, 0.95), lr=peak)
    teacher = Teacher(optimiser, device, peak, rise=flags.rise * len(loader), length=flags.passes * len(loader))

    for done in range(1, flags.passes + 1):
        mean = one_pass(network, loader, teacher)
        print("pass %d of %d: loss %.4f, rate %.2e" % (done, flags.passes, mean, optimiser.param_groups[0]["lr"]),
              flush=True)
        if done == flags.passes or not done % flags.store_each:
            store(flags.into / "veilview.pt", network, options, passes=done)


if __name__ == "__main__":
    main()
