"""Pre-train a masked autoencoder on a folder of images."""
from __future__ import annotations

import argparse
import math
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms as T

from model import MAEConfig, MaskedAutoencoder

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def param_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """No decay for biases, norms and tokens."""
    decay, plain = [], []
    for name, p in model.named_parameters():
        if p.requires_grad:
            (plain if p.ndim <= 1 or name.endswith("token") else decay).append(p)
    return [{"params": decay, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]


def cosine_lr(step: int, total: int, warmup: int, base: float, floor: float = 0.0) -> float:
    if step < warmup:
        return base * (step + 1) / warmup
    progress = (step - warmup) / max(1, total - warmup)
    return floor + 0.5 * (base - floor) * (1 + math.cos(math.pi * progress))


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("data", help="folder in ImageFolder layout")
    ap.add_argument("--out", type=Path, default=Path("runs/mae"))
    ap.add_argument("--epochs", type=int, default=400)
    ap.add_argument("--warmup-epochs", type=int, default=20)
    ap.add_argument("--batch-size", type=int, default=256)
    ap.add_argument("--base-lr", type=float, default=1.5e-4, help="per 256 images")
    ap.add_argument("--weight-decay", type=float, default=0.05)
    ap.add_argument("--mask-ratio", type=float, default=0.75)
    ap.add_argument("--raw-pixels", action="store_true", help="do not normalise target patches")
    ap.add_argument("--image-size", type=int, default=96)
    ap.add_argument("--patch-size", type=int, default=8)
    ap.add_argument("--workers", type=int, default=4)
    ap.add_argument("--save-every", type=int, default=20)
    ap.add_argument("--seed", type=int, default=0)
    args = ap.parse_args()

    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    args.out.mkdir(parents=True, exist_ok=True)

    augment = T.Compose([
        T.RandomResizedCrop(args.image_size, scale=(0.2, 1.0), interpolation=T.InterpolationMode.BICUBIC),
        T.RandomHorizontalFlip(),
        T.ToTensor(),
        T.Normalize(MEAN, STD),
    ])
    loader = DataLoader(datasets.ImageFolder(args.data, augment), args.batch_size, shuffle=True,
                        num_workers=args.workers, pin_memory=True, drop_last=True)

    cfg = MAEConfig(image_size=args.image_size, patch_size=args.patch_size,
                    mask_ratio=args.mask_ratio, normalise_targets=not args.raw_pixels)
    model = MaskedAutoencoder(cfg).to(device)
    lr = args.base_lr * args.batch_size / 256
    optimizer = torch.optim.AdamW(param_groups(model, args.weight_decay), lr=lr, betas=(0.9, 0.95))
    scaler = torch.amp.GradScaler(device, enabled=device == "cuda")

    steps = len(loader)
    for epoch in range(args.epochs):
        model.train()
        running = 0.0
        for i, (images, _) in enumerate(loader):
            set_lr(optimizer, cosine_lr(epoch * steps + i, args.epochs * steps, args.warmup_epochs * steps, lr))
            images = images.to(device, non_blocking=True)
            with torch.autocast(device, enabled=device == "cuda"):
                loss, _, _ = model(images)
            if not torch.isfinite(loss):
                raise RuntimeError(f"loss became {loss.item()} in epoch {epoch}")
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            running += loss.item()
        print(f"epoch {epoch:4d}  loss {running / steps:.4f}  lr {optimizer.param_groups[0]['lr']:.2e}", flush=True)
        if (epoch + 1) % args.save_every == 0 or epoch + 1 == args.epochs:
            torch.save({"model": model.state_dict(), "epoch": epoch, "config": asdict(cfg)}, args.out / "last.pt")


if __name__ == "__main__":
    main()
