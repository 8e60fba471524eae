"""Supervised evaluation of a pre-trained encoder: full fine-tuning or a linear probe.

    python finetune.py --data DIR --checkpoint runs/mae/checkpoint.pt [--linear-probe]
"""
from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from model import Classifier, MAEConfig
from pretrain import MEAN, STD, cosine_lr, set_lr


def layer_index(name: str, depth: int) -> int:
    """0 for the embedding, 1..depth for the blocks, depth + 1 for the head."""
    if name.startswith(("encoder.patch_embed", "encoder.cls_token")):
        return 0
    if name.startswith("encoder.blocks."):
        return int(name.split(".")[2]) + 1
    return depth + 1


def layer_decay_groups(model: Classifier, weight_decay: float, decay: float) -> list[dict]:
    depth = len(model.encoder.blocks)
    groups: dict[tuple[int, bool], dict] = {}
    for name, param in model.named_parameters():
        if not param.requires_grad:
            continue
        layer = layer_index(name, depth)
        plain = param.ndim <= 1 or name.endswith("cls_token")
        group = groups.setdefault((layer, plain), {
            "params": [],
            "weight_decay": 0.0 if plain else weight_decay,
            "lr_scale": decay ** (depth + 1 - layer),
        })
        group["params"].append(param)
    return list(groups.values())


def mixup(images: Tensor, labels: Tensor, classes: int, alpha: float) -> tuple[Tensor, Tensor]:
    targets = F.one_hot(labels, classes).float()
    if alpha <= 0:
        return images, targets
    lam = float(np.random.beta(alpha, alpha))
    perm = torch.randperm(images.shape[0], device=images.device)
    return lam * images + (1 - lam) * images[perm], lam * targets + (1 - lam) * targets[perm]


def build_loaders(args: argparse.Namespace, size: int) -> tuple[DataLoader, DataLoader, int]:
    augment = [transforms.RandomResizedCrop(size), transforms.RandomHorizontalFlip()]
    tail = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    crop = [transforms.Resize(int(size * 256 / 224)), transforms.CenterCrop(size)]
    root = Path(args.data)
    train = datasets.ImageFolder(str(root / "train"), transforms.Compose(augment + tail))
    val = datasets.ImageFolder(str(root / "val"), transforms.Compose(crop + tail))
    common = dict(num_workers=args.workers, pin_memory=True)
    return (DataLoader(train, args.batch_size, shuffle=True, drop_last=True, **common),
            DataLoader(val, args.batch_size, **common), len(train.classes))


@torch.no_grad()
def evaluate(model: Classifier, loader: DataLoader, device: torch.device) -> float:
    model.eval()
    correct = seen = 0
    for images, labels in loader:
        logits = model(images.to(device))
        correct += (logits.argmax(1).cpu() == labels).sum().item()
        seen += labels.numel()
    return correct / seen


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--data", required=True)
    ap.add_argument("--checkpoint", required=True)
    ap.add_argument("--out", default="runs/classifier.pt")
    ap.add_argument("--linear-probe", action="store_true")
    ap.add_argument("--epochs", type=int, default=None, help="default: 100, or 90 for the probe")
    ap.add_argument("--warmup-epochs", type=int, default=5)
    ap.add_argument("--batch-size", type=int, default=128)
    ap.add_argument("--base-lr", type=float, default=None, help="learning rate per 256 images")
    ap.add_argument("--weight-decay", type=float, default=0.05)
    ap.add_argument("--layer-decay", type=float, default=0.75)
    ap.add_argument("--mixup", type=float, default=0.8)
    ap.add_argument("--workers", type=int, default=8)
    args = ap.parse_args()

    probe = args.linear_probe
    epochs = args.epochs or (90 if probe else 100)
    base_lr = (args.base_lr or (0.1 if probe else 5e-4)) * args.batch_size / 256
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    use_amp = device.type == "cuda"

    state = torch.load(args.checkpoint, map_location="cpu")
    cfg = MAEConfig(**state["config"])
    train_loader, val_loader, classes = build_loaders(args, cfg.image_size)
    model = Classifier(cfg, classes, probe)
    weights = {k.removeprefix("encoder."): v for k, v in state["model"].items()
               if k.startswith("encoder.")}
    model.encoder.load_state_dict(weights)
    model.to(device)

    if probe:
        optimizer = torch.optim.SGD(model.head.parameters(), lr=base_lr, momentum=0.9)
    else:
        groups = layer_decay_groups(model, args.weight_decay, args.layer_decay)
        optimizer = torch.optim.AdamW(groups, lr=base_lr, betas=(0.9, 0.999))
    scaler = torch.cuda.amp.GradScaler(enabled=use_amp)

    steps = len(train_loader)
    for epoch in range(epochs):
        model.train()
        for i, (images, labels) in enumerate(train_loader):
            set_lr(optimizer, cosine_lr(epoch * steps + i, epochs * steps,
                                        args.warmup_epochs * steps, base_lr, 1e-6))
            images, labels = images.to(device), labels.to(device)
            images, targets = mixup(images, labels, classes, 0.0 if probe else args.mixup)
            with torch.autocast(device.type, enabled=use_amp):
                loss = F.cross_entropy(model(images), targets)
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        accuracy = evaluate(model, val_loader, device)
        print(f"epoch {epoch:3d}  loss {loss.item():.4f}  val {accuracy:.4f}", flush=True)
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": model.state_dict(), "config": state["config"]}, args.out)


if __name__ == "__main__":
    main()
