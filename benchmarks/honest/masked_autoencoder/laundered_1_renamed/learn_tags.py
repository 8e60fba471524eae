"""Put labels on pictures with a taught trunk: all weights, or just the last layer."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as fn
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms as tv

from learn_fill import (
    CHANNEL_MEAN,
    CHANNEL_STD,
    apply_rate,
    rate_at,
)
from network import FillSettings, Tagger


def floor_of(label: str, layers: int) -> int:
    if label.startswith("trunk.tower."):
        return int(label.split(".")[2]) + 1
    if label.startswith(
        ("trunk.tile_proj", "trunk.summary_slot")
    ):
        return 0
    return layers + 1


def buckets_by_floor(
    net: Tagger,
    layers: int,
    shrink: float,
    fade: float,
) -> list[dict]:
    buckets: dict[tuple[int, bool], dict] = {}
    for label, w in net.named_parameters():
        floor = floor_of(label, layers)
        shrunk = w.ndim > 1 and not label.endswith("slot")
        bucket = buckets.setdefault(
            (floor, shrunk),
            {
                "params": [],
                "weight_decay": shrink if shrunk else 0.0,
                "rate_factor": fade ** (layers + 1 - floor),
            },
        )
        bucket["params"].append(w)
    return list(buckets.values())


def blend(
    pictures: Tensor,
    tags: Tensor,
    labels: int,
    strength: float,
    soften: float,
) -> tuple[Tensor, Tensor]:
    rest = soften / labels
    wanted = (
        fn.one_hot(tags, labels).float() * (1 - soften) + rest
    )
    if strength <= 0:
        return pictures, wanted
    share = (
        torch.distributions.Beta(strength, strength)
        .sample()
        .item()
    )
    partner = torch.randperm(
        len(pictures), device=pictures.device
    )
    return (
        share * pictures + (1 - share) * pictures[partner],
        share * wanted + (1 - share) * wanted[partner],
    )


@torch.no_grad()
def hit_rate(
    net: nn.Module,
    feed: DataLoader,
    hardware: str,
) -> float:
    net.eval()
    hits = seen = 0
    for pictures, tags in feed:
        answer = (
            net(pictures.to(hardware)).argmax(dim=1).cpu()
        )
        hits += (answer == tags).sum().item()
        seen += len(tags)
    return hits / seen


def open_feeds(
    flags,
    resolution: int,
) -> tuple[DataLoader, DataLoader, int]:
    finish = [
        tv.ToTensor(),
        tv.Normalize(CHANNEL_MEAN, CHANNEL_STD),
    ]
    jitter = [
        tv.RandomResizedCrop(resolution),
        tv.RandomHorizontalFlip(),
    ]
    if not flags.head_only:
        jitter.append(tv.RandAugment())
    learn = datasets.ImageFolder(
        flags.pictures / "train",
        tv.Compose(jitter + finish),
    )
    check = datasets.ImageFolder(
        flags.pictures / "val",
        tv.Compose(
            [
                tv.Resize(int(resolution * 8 / 7)),
                tv.CenterCrop(resolution),
            ]
            + finish
        ),
    )
    shared = dict(
        batch_size=flags.per_step,
        num_workers=flags.loaders,
        pin_memory=True,
    )
    return (
        DataLoader(
            learn,
            shuffle=True,
            drop_last=True,
            **shared,
        ),
        DataLoader(check, **shared),
        len(learn.classes),
    )


def run() -> None:
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument(
        "pictures",
        type=Path,
        help="folder with train/ and val/",
    )
    cli.add_argument("weights", type=Path)
    cli.add_argument(
        "--head-only",
        action="store_true",
        help="freeze the encoder, train only the head",
    )
    cli.add_argument(
        "--target",
        type=Path,
        default=Path("output/tagger.pt"),
    )
    cli.add_argument("--rounds", type=int, default=50)
    cli.add_argument("--ramp-rounds", type=int, default=5)
    cli.add_argument("--per-step", type=int, default=256)
    cli.add_argument(
        "--rate",
        type=float,
        help="default 1e-3, or 0.1 for the probe",
    )
    cli.add_argument("--shrink", type=float, default=0.05)
    cli.add_argument("--fade", type=float, default=0.75)
    cli.add_argument("--blend", type=float, default=0.8)
    cli.add_argument("--soften", type=float, default=0.1)
    cli.add_argument("--loaders", type=int, default=4)
    flags = cli.parse_args()

    hardware = "cuda" if torch.cuda.is_available() else "cpu"
    saved = torch.load(flags.weights, map_location="cpu")
    opts = FillSettings(**saved["opts"])
    learn, check, labels = open_feeds(flags, opts.resolution)

    net = Tagger(opts, labels)
    lead = "trunk."
    net.trunk.load_state_dict(
        {
            key[len(lead):]: val
            for key, val in saved["net"].items()
            if key.startswith(lead)
        }
    )
    if flags.head_only:
        net.trunk.requires_grad_(False)
        net.scorer = nn.Sequential(
            nn.BatchNorm1d(opts.width, affine=False),
            net.scorer,
        )
        rate = flags.rate or 0.1
        opt = torch.optim.SGD(
            net.scorer.parameters(),
            lr=rate,
            momentum=0.9,
        )
    else:
        rate = flags.rate or 1e-3
        buckets = buckets_by_floor(
            net,
            opts.layers,
            flags.shrink,
            flags.fade,
        )
        opt = torch.optim.AdamW(buckets, lr=rate)
    net.to(hardware)
    amp = torch.amp.GradScaler(
        hardware,
        enabled=hardware == "cuda",
    )
    strength, soften = (
        (0.0, 0.0)
        if flags.head_only
        else (flags.blend, flags.soften)
    )

    top, per_round = 0.0, len(learn)
    flags.target.parent.mkdir(parents=True, exist_ok=True)
    for lap in range(flags.rounds):
        net.train()
        for k, (pictures, tags) in enumerate(learn):
            apply_rate(
                opt,
                rate_at(
                    lap * per_round + k,
                    flags.rounds * per_round,
                    flags.ramp_rounds * per_round,
                    rate,
                ),
            )
            pictures, wanted = blend(
                pictures.to(hardware),
                tags.to(hardware),
                labels,
                strength,
                soften,
            )
            with torch.autocast(
                hardware, enabled=hardware == "cuda"
            ):
                penalty = fn.cross_entropy(net(pictures), wanted)
            opt.zero_grad(set_to_none=True)
            amp.scale(penalty).backward()
            amp.step(opt)
            amp.update()
        score = hit_rate(net, check, hardware)
        if score > top:
            top = score
            torch.save(
                {
                    "net": net.state_dict(),
                    "opts": saved["opts"],
                    "score": score,
                },
                flags.target,
            )
        print(
            f"epoch {lap:3d}  accuracy {score:.4f}"
            f"  best {top:.4f}",
            flush=True,
        )


if __name__ == "__main__":
    run()
