"""Self-supervised pre-training.

    python pretrain.py --data /path/to/imagefolder --out runs/mae
"""
from __future__ import annotations

import argparse
import math
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from model import MAEConfig, MaskedAutoencoder

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def weight_decay_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """No decay for biases, norms and tokens."""
    decay, no_decay = [], []
    for name, param in model.named_parameters():
        if not param.requires_grad:
            continue
        (no_decay if param.ndim <= 1 or name.endswith("_token") else decay).append(param)
    return [{"params": decay, "weight_decay": weight_decay},
            {"params": no_decay, "weight_decay": 0.0}]


def cosine_lr(step: int, total: int, warmup: int, base: float, floor: float = 0.0) -> float:
    if step < warmup:
        return base * (step + 1) / warmup
    progress = (step - warmup) / max(1, total - warmup)
    return floor + 0.5 * (base - floor) * (1 + math.cos(math.pi * progress))


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)


def build_loader(args: argparse.Namespace, cfg: MAEConfig) -> DataLoader:
    transform = transforms.Compose([
        transforms.RandomResizedCrop(cfg.image_size, scale=(0.2, 1.0),
                                     interpolation=transforms.InterpolationMode.BICUBIC),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ])
    dataset = datasets.ImageFolder(str(Path(args.data) / "train"), transform)
    return DataLoader(dataset, args.batch_size, shuffle=True, num_workers=args.workers,
                      pin_memory=True, drop_last=True)


def parse_args() -> argparse.Namespace:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--data", required=True, help="folder containing train/<class>/*.jpg")
    ap.add_argument("--out", default="runs/mae")
    ap.add_argument("--epochs", type=int, default=400)
    ap.add_argument("--warmup-epochs", type=int, default=40)
    ap.add_argument("--batch-size", type=int, default=256)
    ap.add_argument("--base-lr", type=float, default=1.5e-4, help="learning rate per 256 images")
    ap.add_argument("--weight-decay", type=float, default=0.05)
    ap.add_argument("--mask-ratio", type=float, default=0.75)
    ap.add_argument("--image-size", type=int, default=224)
    ap.add_argument("--no-norm-target", action="store_true")
    ap.add_argument("--workers", type=int, default=8)
    ap.add_argument("--seed", type=int, default=0)
    return ap.parse_args()


def main() -> None:
    args = parse_args()
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    use_amp = device.type == "cuda"
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)

    cfg = MAEConfig(image_size=args.image_size, mask_ratio=args.mask_ratio,
                    normalize_target=not args.no_norm_target)
    model = MaskedAutoencoder(cfg).to(device)
    loader = build_loader(args, cfg)
    base_lr = args.base_lr * args.batch_size / 256
    optimizer = torch.optim.AdamW(weight_decay_groups(model, args.weight_decay),
                                  lr=base_lr, betas=(0.9, 0.95))
    scaler = torch.cuda.amp.GradScaler(enabled=use_amp)

    total, warmup = args.epochs * len(loader), args.warmup_epochs * len(loader)
    for epoch in range(args.epochs):
        model.train()
        running = 0.0
        for i, (images, _) in enumerate(loader):
            lr = cosine_lr(epoch * len(loader) + i, total, warmup, base_lr)
            set_lr(optimizer, lr)
            images = images.to(device, non_blocking=True)
            with torch.autocast(device.type, enabled=use_amp):
                loss, _, _ = model(images)
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            running += loss.item()
        print(f"epoch {epoch:4d}  loss {running / len(loader):.4f}  lr {lr:.2e}", flush=True)

        torch.save({"model": model.state_dict(), "epoch": epoch, "config": asdict(cfg)},
                   out / "checkpoint.pt")


if __name__ == "__main__":
    main()
