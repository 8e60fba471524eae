"""Supervised evaluation of a pre-trained encoder: full fine-tuning or a linear probe."""
import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets

from model import MAEConfig, ViTClassifier
from pretrain import eval_transform, set_lr, train_transform


def layer_id(name: str, depth: int) -> int:
    if name.startswith(("encoder.patch_embed", "encoder.cls_token")):
        return 0
    if name.startswith("encoder.blocks."):
        return int(name.split(".")[2]) + 1
    return depth + 1


def layer_decay_groups(model: ViTClassifier, depth: int, weight_decay: float, decay: float) -> list[dict]:
    groups: dict[tuple[int, bool], dict] = {}
    for name, p in model.named_parameters():
        layer = layer_id(name, depth)
        plain = p.ndim <= 1 or name.endswith("token")
        group = groups.setdefault((layer, plain), {"params": [], "lr_scale": decay ** (depth + 1 - layer),
                                                   "weight_decay": 0.0 if plain else weight_decay})
        group["params"].append(p)
    return list(groups.values())


def mixup(x: torch.Tensor, y: torch.Tensor, classes: int, alpha: float, smoothing: float):
    off = smoothing / classes
    target = F.one_hot(y, classes).float() * (1 - smoothing) + off
    if alpha <= 0:
        return x, target
    lam = float(np.random.beta(alpha, alpha))
    perm = torch.randperm(x.shape[0], device=x.device)
    return lam * x + (1 - lam) * x[perm], lam * target + (1 - lam) * target[perm]


@torch.no_grad()
def accuracy(model: nn.Module, loader: DataLoader, device: torch.device) -> float:
    model.eval()
    hits = seen = 0
    for x, y in loader:
        pred = model(x.to(device)).argmax(dim=1).cpu()
        hits += (pred == y).sum().item()
        seen += y.numel()
    return hits / max(seen, 1)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("checkpoint", type=Path)
    ap.add_argument("data", type=Path, help="folder with train/ and val/")
    ap.add_argument("--mode", choices=["finetune", "probe"], default="finetune")
    ap.add_argument("--out", type=Path, default=Path("runs/finetune"))
    ap.add_argument("--base-lr", type=float, help="per 256 images; default 1e-3 (finetune) or 0.1 (probe)")
    numbers = {"epochs": 100, "warmup-epochs": 5, "batch-size": 128, "workers": 8, "layer-decay": 0.75,
               "weight-decay": 0.05, "mixup": 0.8, "smoothing": 0.1}
    for name, default in numbers.items():
        ap.add_argument(f"--{name}", type=type(default), default=default)
    args = ap.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    probing = args.mode == "probe"

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    ckpt = torch.load(args.checkpoint, map_location="cpu")
    cfg = MAEConfig(**ckpt["config"])
    train_set = datasets.ImageFolder(str(args.data / "train"), train_transform(cfg.img_size))
    val_set = datasets.ImageFolder(str(args.data / "val"), eval_transform(cfg.img_size))
    classes = len(train_set.classes)
    train_loader = DataLoader(train_set, args.batch_size, shuffle=True, drop_last=True, num_workers=args.workers)
    val_loader = DataLoader(val_set, args.batch_size, num_workers=args.workers)

    model = ViTClassifier(cfg, classes, "cls" if probing else "mean")
    weights = {k[len("encoder."):]: v for k, v in ckpt["model"].items() if k.startswith("encoder.")}
    model.encoder.load_state_dict(weights)
    if probing:
        model.encoder.requires_grad_(False)
        # Features of a frozen MAE vary a lot in scale, so whiten them before the linear layer.
        model.head = nn.Sequential(nn.BatchNorm1d(cfg.dim, affine=False, eps=1e-6), model.head)
        optimizer = torch.optim.SGD(model.head.parameters(), lr=0.1, momentum=0.9)
    else:
        optimizer = torch.optim.AdamW(layer_decay_groups(model, cfg.depth, args.weight_decay, args.layer_decay))
    model.to(device)

    base_lr = args.base_lr if args.base_lr is not None else (0.1 if probing else 1e-3)
    peak = base_lr * args.batch_size / 256
    steps = len(train_loader)
    use_amp = device.type == "cuda"
    scaler = torch.cuda.amp.GradScaler(enabled=use_amp)
    best = 0.0
    for epoch in range(args.epochs):
        model.train()
        if probing:
            model.encoder.eval()
        for i, (x, y) in enumerate(train_loader):
            set_lr(optimizer, epoch * steps + i, args.warmup_epochs * steps, args.epochs * steps, peak)
            x, y = x.to(device), y.to(device)
            x, target = mixup(x, y, classes, 0.0 if probing else args.mixup, 0.0 if probing else args.smoothing)
            with torch.autocast(device.type, enabled=use_amp):
                loss = F.cross_entropy(model(x), target)
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        acc = accuracy(model, val_loader, device)
        print(f"{args.mode} epoch {epoch:3d}  last loss {loss.item():.4f}  val acc {acc:.4f}", flush=True)
        if acc > best:
            best = acc
            torch.save({"model": model.state_dict(), "config": ckpt["config"], "acc": acc},
                       args.out / f"best_{args.mode}.pt")


if __name__ == "__main__":
    main()
