"""Train a class-conditional diffusion model: python train.py --data DIR (one folder of images per class)."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from diffusion import Diffusion, DiffusionConfig
from torch import Tensor, nn
from torch.utils.data import DataLoader
from unet import UNet, UNetConfig


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a run depends on."""

    data: str = "data"
    out: str = "checkpoint.pt"
    batch_size: int = 128
    num_steps: int = 200_000
    lr: float = 2e-4
    warmup: int = 1_000
    max_grad_norm: float = 1.0
    ema_decay: float = 0.9999
    log_every: int = 100
    save_every: int = 5_000
    unet: UNetConfig = field(default_factory=UNetConfig)
    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)


class EMA:
    """A copy of a model whose parameters follow the original's slowly."""

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        self.decay = decay
        self.num_updates = 0
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the model; faster at the beginning, when the copy is still random."""
        self.num_updates += 1
        decay = min(self.decay, self.num_updates / (self.num_updates + 10))
        for ours, theirs in zip(self.model.parameters(), model.parameters(), strict=True):
            ours.lerp_(theirs, 1.0 - decay)


def build(unet: UNetConfig, diffusion: DiffusionConfig) -> Diffusion:
    """A diffusion model over a new network."""
    return Diffusion(UNet(unet), null_label=unet.num_classes, config=diffusion)


def image_loader(config: TrainConfig) -> DataLoader:
    """Images in [-1, 1] with random horizontal flips."""
    from torchvision import datasets, transforms  # noqa: PLC0415  # sampling must not need torchvision

    transform = transforms.Compose(
        [
            transforms.Resize(config.unet.image_size),
            transforms.CenterCrop(config.unet.image_size),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.5] * 3, std=[0.5] * 3),
        ]
    )
    dataset = datasets.ImageFolder(config.data, transform=transform)
    return DataLoader(dataset, batch_size=config.batch_size, shuffle=True, num_workers=4, drop_last=True)


def endless(loader: DataLoader) -> Iterator[tuple[Tensor, Tensor]]:
    """Epoch after epoch."""
    while True:
        yield from loader


class Trainer:
    """Optimises a diffusion model and keeps its moving average."""

    def __init__(self, config: TrainConfig, *, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.diffusion = build(config.unet, config.diffusion).to(device)
        self.ema = EMA(self.diffusion.model, decay=config.ema_decay)
        self.optimizer = torch.optim.AdamW(self.diffusion.parameters(), lr=config.lr, weight_decay=0.0)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lr_lambda=lambda step: min(1.0, (step + 1) / config.warmup)
        )

    def step(self, images: Tensor, labels: Tensor) -> float:
        """One update; images (B, C, H, W), labels (B,)."""
        loss = self.diffusion.loss(images.to(self.device), labels.to(self.device))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.diffusion.parameters(), self.config.max_grad_norm)
        self.optimizer.step()
        self.scheduler.step()
        self.ema.update(self.diffusion.model)
        return loss.item()

    def save(self) -> None:
        """Write what sampling needs."""
        torch.save(
            {
                "unet": asdict(self.config.unet),
                "diffusion": asdict(self.config.diffusion),
                "ema": self.ema.model.state_dict(),
            },
            self.config.out,
        )

    def fit(self, batches: Iterator[tuple[Tensor, Tensor]]) -> None:
        """The whole run."""
        cfg, running = self.config, 0.0
        for step in range(1, cfg.num_steps + 1):
            running += self.step(*next(batches))
            if step % cfg.log_every == 0:
                print(f"step {step:7d}  loss {running / cfg.log_every:.4f}", flush=True)
                running = 0.0
            if step % cfg.save_every == 0 or step == cfg.num_steps:
                self.save()


def load(path: Path, *, device: torch.device) -> tuple[Diffusion, UNetConfig]:
    """The averaged model of a checkpoint, ready for sampling."""
    checkpoint = torch.load(path, map_location=device, weights_only=True)
    unet = UNetConfig(**checkpoint["unet"])
    diffusion = build(unet, DiffusionConfig(**checkpoint["diffusion"])).to(device)
    diffusion.model.load_state_dict(checkpoint["ema"])
    return diffusion.eval(), unet


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", default=TrainConfig.out)
    parser.add_argument("--num-steps", type=int, default=TrainConfig.num_steps)
    parser.add_argument("--batch-size", type=int, default=TrainConfig.batch_size)
    args = parser.parse_args()
    config = TrainConfig(**vars(args))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    Trainer(config, device=device).fit(endless(image_loader(config)))


if __name__ == "__main__":
    main()
