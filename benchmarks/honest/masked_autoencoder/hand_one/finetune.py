"""Fine-tune a pre-trained encoder end to end, or train a linear probe on it."""
from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms as T

from model import Classifier, MAEConfig
from pretrain import MEAN, STD, cosine_lr, set_lr


def layer_index(name: str, depth: int) -> int:
    if name.startswith("encoder.blocks."):
        return int(name.split(".")[2]) + 1
    if name.startswith(("encoder.patch_embed", "encoder.cls_token")):
        return 0
    return depth + 1


def layerwise_groups(model: Classifier, depth: int, weight_decay: float, decay: float) -> list[dict]:
    groups: dict[tuple[int, bool], dict] = {}
    for name, p in model.named_parameters():
        layer = layer_index(name, depth)
        decayed = p.ndim > 1 and not name.endswith("token")
        group = groups.setdefault((layer, decayed), {
            "params": [],
            "weight_decay": weight_decay if decayed else 0.0,
            "lr_scale": decay ** (depth + 1 - layer),
        })
        group["params"].append(p)
    return list(groups.values())


def mixup(images: Tensor, labels: Tensor, classes: int, alpha: float, smoothing: float) -> tuple[Tensor, Tensor]:
    off = smoothing / classes
    target = F.one_hot(labels, classes).float() * (1 - smoothing) + off
    if alpha <= 0:
        return images, target
    lam = torch.distributions.Beta(alpha, alpha).sample().item()
    perm = torch.randperm(len(images), device=images.device)
    return lam * images + (1 - lam) * images[perm], lam * target + (1 - lam) * target[perm]


@torch.no_grad()
def accuracy(model: nn.Module, loader: DataLoader, device: str) -> float:
    model.eval()
    correct = total = 0
    for images, labels in loader:
        guess = model(images.to(device)).argmax(dim=1).cpu()
        correct += (guess == labels).sum().item()
        total += len(labels)
    return correct / total


def build_loaders(args, size: int) -> tuple[DataLoader, DataLoader, int]:
    tail = [T.ToTensor(), T.Normalize(MEAN, STD)]
    crop = [T.RandomResizedCrop(size), T.RandomHorizontalFlip()]
    if not args.probe:
        crop.append(T.RandAugment())
    train = datasets.ImageFolder(args.data / "train", T.Compose(crop + tail))
    val = datasets.ImageFolder(args.data / "val", T.Compose([T.Resize(int(size * 8 / 7)), T.CenterCrop(size)] + tail))
    opts = dict(batch_size=args.batch_size, num_workers=args.workers, pin_memory=True)
    return DataLoader(train, shuffle=True, drop_last=True, **opts), DataLoader(val, **opts), len(train.classes)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("data", type=Path, help="folder with train/ and val/")
    ap.add_argument("checkpoint", type=Path)
    ap.add_argument("--probe", action="store_true", help="freeze the encoder, train only the head")
    ap.add_argument("--out", type=Path, default=Path("runs/classifier.pt"))
    ap.add_argument("--epochs", type=int, default=50)
    ap.add_argument("--warmup-epochs", type=int, default=5)
    ap.add_argument("--batch-size", type=int, default=256)
    ap.add_argument("--lr", type=float, help="default 1e-3, or 0.1 for the probe")
    ap.add_argument("--weight-decay", type=float, default=0.05)
    ap.add_argument("--layer-decay", type=float, default=0.75)
    ap.add_argument("--mixup", type=float, default=0.8)
    ap.add_argument("--smoothing", type=float, default=0.1)
    ap.add_argument("--workers", type=int, default=4)
    args = ap.parse_args()

    device = "cuda" if torch.cuda.is_available() else "cpu"
    state = torch.load(args.checkpoint, map_location="cpu")
    cfg = MAEConfig(**state["config"])
    train, val, classes = build_loaders(args, cfg.image_size)

    model = Classifier(cfg, classes)
    prefix = "encoder."
    model.encoder.load_state_dict({k[len(prefix):]: v for k, v in state["model"].items() if k.startswith(prefix)})
    if args.probe:
        model.encoder.requires_grad_(False)
        model.head = nn.Sequential(nn.BatchNorm1d(cfg.dim, affine=False), model.head)
        lr = args.lr or 0.1
        optimizer = torch.optim.SGD(model.head.parameters(), lr=lr, momentum=0.9)
    else:
        lr = args.lr or 1e-3
        groups = layerwise_groups(model, cfg.depth, args.weight_decay, args.layer_decay)
        optimizer = torch.optim.AdamW(groups, lr=lr)
    model.to(device)
    scaler = torch.amp.GradScaler(device, enabled=device == "cuda")
    alpha, smoothing = (0.0, 0.0) if args.probe else (args.mixup, args.smoothing)

    best, steps = 0.0, len(train)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for epoch in range(args.epochs):
        model.train()
        for i, (images, labels) in enumerate(train):
            set_lr(optimizer, cosine_lr(epoch * steps + i, args.epochs * steps, args.warmup_epochs * steps, lr))
            images, target = mixup(images.to(device), labels.to(device), classes, alpha, smoothing)
            with torch.autocast(device, enabled=device == "cuda"):
                loss = F.cross_entropy(model(images), target)
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        acc = accuracy(model, val, device)
        if acc > best:
            best = acc
            torch.save({"model": model.state_dict(), "config": state["config"], "accuracy": acc}, args.out)
        print(f"epoch {epoch:3d}  accuracy {acc:.4f}  best {best:.4f}", flush=True)


if __name__ == "__main__":
    main()
