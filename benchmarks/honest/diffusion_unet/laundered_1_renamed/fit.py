"""Fits the picture generator to a folder of pictures; sub-folders are the classes."""
from __future__ import annotations

import argparse
import copy
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch as th
import torch.nn as tnn
from torch.utils.data import DataLoader

from backbone import Hourglass, HourglassSpec
from corruption import Corruption, CorruptionSpec


@dataclass(frozen=True)
class FitSpec:
    pictures: str = 'data'
    target: str = 'snapshot.pt'
    per_batch: int = 128
    n_updates: int = 200_000
    step_size: float = 2e-4
    ramp: int = 1_000
    grad_cap: float = 1.0
    inertia: float = 0.9999
    print_period: int = 100
    dump_period: int = 5_000
    backbone: HourglassSpec = field(default_factory=HourglassSpec)
    corruption: CorruptionSpec = field(default_factory=CorruptionSpec)


class Shadow:
    """Trails behind a net and is smoother than it."""

    def __init__(self, net: tnn.Module, *, inertia: float) -> None:
        self.inertia = inertia
        self.age = 0
        self.net = copy.deepcopy(net).eval().requires_grad_(False)

    @th.no_grad()
    def follow(self, net: tnn.Module) -> None:
        # a young shadow moves quickly
        self.age += 1
        inertia = min(self.inertia, self.age / (self.age + 10))
        for slow, fast in zip(self.net.parameters(), net.parameters(), strict=True):
            slow.lerp_(fast, 1.0 - inertia)


def assemble(backbone: HourglassSpec, corruption: CorruptionSpec) -> Corruption:
    return Corruption(Hourglass(backbone), spec=corruption, unknown=backbone.n_classes)


def picture_feed(spec: FitSpec) -> DataLoader:
    from torchvision import datasets as ds
    from torchvision import transforms as tf

    pipeline = tf.Compose(
        [
            tf.Resize(spec.backbone.side),
            tf.CenterCrop(spec.backbone.side),
            tf.RandomHorizontalFlip(),
            tf.ToTensor(),
            tf.Normalize(std=[0.5] * 3, mean=[0.5] * 3),
        ]
    )
    pictures = ds.ImageFolder(spec.pictures, transform=pipeline)
    return DataLoader(
        pictures,
        drop_last=True,
        num_workers=4,
        shuffle=True,
        batch_size=spec.per_batch,
    )


def forever(feed: DataLoader) -> Iterator[tuple[th.Tensor, th.Tensor]]:
    while True:
        yield from feed


class Fitter:
    def __init__(self, spec: FitSpec, *, dev: th.device) -> None:
        self.spec = spec
        self.dev = dev
        self.corruption = assemble(spec.backbone, spec.corruption).to(dev)
        self.shadow = Shadow(self.corruption.backbone, inertia=spec.inertia)
        self.adam = th.optim.AdamW(
            self.corruption.parameters(), weight_decay=0.0, lr=spec.step_size
        )
        self.ramp = th.optim.lr_scheduler.LambdaLR(
            self.adam, lr_lambda=lambda k: min(1.0, (k + 1) / spec.ramp)
        )

    def nudge(self, pictures: th.Tensor, classes: th.Tensor) -> float:
        objective = self.corruption.objective(pictures.to(self.dev), classes.to(self.dev))
        self.adam.zero_grad(set_to_none=True)
        objective.backward()
        tnn.utils.clip_grad_norm_(self.corruption.parameters(), self.spec.grad_cap)
        self.adam.step()
        self.ramp.step()
        self.shadow.follow(self.corruption.backbone)
        return objective.item()

    def dump(self) -> None:
        th.save(
            {
                'backbone': asdict(self.spec.backbone),
                'corruption': asdict(self.spec.corruption),
                'shadow': self.shadow.net.state_dict(),
            },
            self.spec.target,
        )

    def run(self, feed: Iterator[tuple[th.Tensor, th.Tensor]]) -> None:
        s, total = self.spec, 0.0
        for k in range(1, s.n_updates + 1):
            total += self.nudge(*next(feed))
            if k % s.print_period == 0:
                print(f'update {k:7d}  objective {total / s.print_period:.4f}', flush=True)
                total = 0.0
            if k % s.dump_period == 0 or k == s.n_updates:
                self.dump()


def revive(file: Path, *, dev: th.device) -> tuple[Corruption, HourglassSpec]:
    """Reads a snapshot back for generation."""
    snapshot = th.load(file, weights_only=True, map_location=dev)
    backbone = HourglassSpec(**snapshot['backbone'])
    corruption = assemble(backbone, CorruptionSpec(**snapshot['corruption'])).to(dev)
    corruption.backbone.load_state_dict(snapshot['shadow'])
    return corruption.eval(), backbone


def cli() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument('--pictures', required=True)
    ap.add_argument('--target', default=FitSpec.target)
    ap.add_argument('--n-updates', default=FitSpec.n_updates, type=int)
    ap.add_argument('--per-batch', default=FitSpec.per_batch, type=int)
    ns = ap.parse_args()
    spec = FitSpec(**vars(ns))
    dev = th.device('cuda' if th.cuda.is_available() else 'cpu')
    Fitter(spec, dev=dev).run(forever(picture_feed(spec)))


if __name__ == '__main__':
    cli()
