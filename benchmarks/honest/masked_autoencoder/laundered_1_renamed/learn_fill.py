"""Teach PatchFill to complete pictures, no labels needed."""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms as tv

from network import FillSettings, PatchFiller

CHANNEL_MEAN, CHANNEL_STD = (
    (0.485, 0.456, 0.406),
    (0.229, 0.224, 0.225),
)


def split_parameters(net: nn.Module, shrink: float) -> list[dict]:
    """One-dimensional weights and the learned slots are not shrunk."""
    shrunk, free = [], []
    for label, w in net.named_parameters():
        if w.requires_grad:
            (
                free
                if w.ndim <= 1 or label.endswith("slot")
                else shrunk
            ).append(w)
    return [
        {"params": shrunk, "weight_decay": shrink},
        {"params": free, "weight_decay": 0.0},
    ]


def rate_at(
    tick: int,
    end: int,
    ramp: int,
    peak: float,
    lowest: float = 0.0,
) -> float:
    if tick < ramp:
        return peak * (tick + 1) / ramp
    done = (tick - ramp) / max(1, end - ramp)
    return lowest + 0.5 * (peak - lowest) * (
        1 + math.cos(math.pi * done)
    )


def apply_rate(opt: torch.optim.Optimizer, rate: float) -> None:
    for bucket in opt.param_groups:
        bucket["lr"] = rate * bucket.get("rate_factor", 1.0)


def run() -> None:
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument(
        "pictures",
        help="folder in ImageFolder layout",
    )
    cli.add_argument(
        "--target-dir",
        type=Path,
        default=Path("output/patchfill"),
    )
    cli.add_argument("--rounds", type=int, default=400)
    cli.add_argument("--ramp-rounds", type=int, default=20)
    cli.add_argument("--per-step", type=int, default=256)
    cli.add_argument(
        "--unit-rate",
        type=float,
        default=1.5e-4,
        help="per 256 images",
    )
    cli.add_argument("--shrink", type=float, default=0.05)
    cli.add_argument("--hide-fraction", type=float, default=0.75)
    cli.add_argument(
        "--no-whiten",
        action="store_true",
        help="do not normalise target patches",
    )
    cli.add_argument("--resolution", type=int, default=96)
    cli.add_argument("--tile", type=int, default=8)
    cli.add_argument("--loaders", type=int, default=4)
    cli.add_argument("--keep-every", type=int, default=20)
    cli.add_argument("--rng", type=int, default=0)
    flags = cli.parse_args()

    torch.manual_seed(flags.rng)
    hardware = "cuda" if torch.cuda.is_available() else "cpu"
    flags.target_dir.mkdir(parents=True, exist_ok=True)

    jitter = tv.Compose(
        [
            tv.RandomResizedCrop(
                flags.resolution,
                scale=(0.2, 1.0),
                interpolation=tv.InterpolationMode.BICUBIC,
            ),
            tv.RandomHorizontalFlip(),
            tv.ToTensor(),
            tv.Normalize(CHANNEL_MEAN, CHANNEL_STD),
        ]
    )
    feed = DataLoader(
        datasets.ImageFolder(flags.pictures, jitter),
        flags.per_step,
        shuffle=True,
        num_workers=flags.loaders,
        pin_memory=True,
        drop_last=True,
    )

    opts = FillSettings(
        resolution=flags.resolution,
        tile=flags.tile,
        hide_fraction=flags.hide_fraction,
        whiten=not flags.no_whiten,
    )
    net = PatchFiller(opts).to(hardware)
    rate = flags.unit_rate * flags.per_step / 256
    opt = torch.optim.AdamW(
        split_parameters(net, flags.shrink),
        lr=rate,
        betas=(0.9, 0.95),
    )
    amp = torch.amp.GradScaler(
        hardware,
        enabled=hardware == "cuda",
    )

    per_round = len(feed)
    for lap in range(flags.rounds):
        net.train()
        total_penalty = 0.0
        for k, (pictures, _) in enumerate(feed):
            apply_rate(
                opt,
                rate_at(
                    lap * per_round + k,
                    flags.rounds * per_round,
                    flags.ramp_rounds * per_round,
                    rate,
                ),
            )
            pictures = pictures.to(hardware, non_blocking=True)
            with torch.autocast(
                hardware, enabled=hardware == "cuda"
            ):
                penalty, _, _ = net(pictures)
            if not torch.isfinite(penalty):
                raise RuntimeError(
                    f"loss became {penalty.item()} in epoch {lap}"
                )
            opt.zero_grad(set_to_none=True)
            amp.scale(penalty).backward()
            amp.step(opt)
            amp.update()
            total_penalty += penalty.item()
        print(
            f"epoch {lap:4d}  loss {total_penalty / per_round:.4f}"
            f"  lr {opt.param_groups[0]['lr']:.2e}",
            flush=True,
        )
        if (
            (lap + 1) % flags.keep_every == 0
            or lap + 1 == flags.rounds
        ):
            torch.save(
                {
                    "net": net.state_dict(),
                    "lap": lap,
                    "opts": asdict(opts),
                },
                flags.target_dir / "newest.pt",
            )


if __name__ == "__main__":
    run()
