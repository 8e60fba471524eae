"""Self-supervised pre-training on a folder of images (ImageFolder layout)."""
import argparse
import math
import time
from dataclasses import asdict
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from model import PRESETS, MAEConfig, MaskedAutoencoder

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def weight_decay_groups(model: torch.nn.Module, weight_decay: float) -> list[dict]:
    """Biases, norms and learned tokens are not decayed."""
    decay, no_decay = [], []
    for name, p in model.named_parameters():
        (no_decay if p.ndim <= 1 or name.endswith("token") else decay).append(p)
    return [{"params": decay, "weight_decay": weight_decay}, {"params": no_decay, "weight_decay": 0.0}]


def set_lr(optimizer, step: int, warmup: int, total: int, peak: float, floor: float = 0.0) -> float:
    if step < warmup:
        lr = peak * (step + 1) / warmup
    else:
        progress = (step - warmup) / max(1, total - warmup)
        lr = floor + 0.5 * (peak - floor) * (1 + math.cos(math.pi * progress))
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)
    return lr


def eval_transform(size: int):
    return transforms.Compose([
        transforms.Resize(int(size * 256 / 224)), transforms.CenterCrop(size),
        transforms.ToTensor(), transforms.Normalize(MEAN, STD),
    ])


def train_transform(size: int):
    return transforms.Compose([
        transforms.RandomResizedCrop(size, scale=(0.2, 1.0), interpolation=transforms.InterpolationMode.BICUBIC),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(), transforms.Normalize(MEAN, STD),
    ])


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("data", type=Path)
    ap.add_argument("--out", type=Path, default=Path("runs/pretrain"))
    ap.add_argument("--preset", choices=PRESETS, default="base")
    ap.add_argument("--img-size", type=int, default=224)
    ap.add_argument("--mask-ratio", type=float, default=0.75)
    ap.add_argument("--raw-pixels", action="store_true", help="do not normalise target patches")
    numbers = {"epochs": 400, "warmup-epochs": 20, "batch-size": 256, "workers": 8, "weight-decay": 0.05,
               "base-lr": 1.5e-4}  # base-lr is per 256 images
    for name, default in numbers.items():
        ap.add_argument(f"--{name}", type=type(default), default=default)
    args = ap.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    cfg = MAEConfig(img_size=args.img_size, mask_ratio=args.mask_ratio,
                    norm_pix_loss=not args.raw_pixels, **PRESETS[args.preset])
    model = MaskedAutoencoder(cfg).to(device)
    optimizer = torch.optim.AdamW(weight_decay_groups(model, args.weight_decay), lr=1e-3, betas=(0.9, 0.95))
    use_amp = device.type == "cuda"
    scaler = torch.cuda.amp.GradScaler(enabled=use_amp)

    dataset = datasets.ImageFolder(str(args.data), train_transform(args.img_size))
    loader = DataLoader(dataset, args.batch_size, shuffle=True, drop_last=True,
                        num_workers=args.workers, pin_memory=use_amp)
    peak = args.base_lr * args.batch_size / 256
    total, warmup = args.epochs * len(loader), args.warmup_epochs * len(loader)

    for epoch in range(args.epochs):
        model.train()
        running, began = 0.0, time.time()
        for i, (imgs, _) in enumerate(loader):
            lr = set_lr(optimizer, epoch * len(loader) + i, warmup, total, peak)
            imgs = imgs.to(device, non_blocking=True)
            with torch.autocast(device.type, enabled=use_amp):
                loss, _, _ = model(imgs)
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            running += loss.item()
        print(f"epoch {epoch:4d}  loss {running / len(loader):.4f}  lr {lr:.2e}  {time.time() - began:.0f}s", flush=True)
        torch.save({"model": model.state_dict(), "config": asdict(cfg), "epoch": epoch}, args.out / "last.pt")


if __name__ == "__main__":
    main()
