"""Train the U-Net:  python train.py --data data/train --classes 2"""
import argparse
import random
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from data import PatchDataset, list_cases, load_case
from infer import evaluate, predict_slice
from network import DiceCELoss, UNet, deep_supervision


def validate(model, cases, args, device):
    pairs = []
    for image, mask in cases:
        prob = predict_slice(model, image, args.patch, args.classes, mirror=False, device=device)
        pairs.append((prob.argmax(0).numpy(), mask))
    scores = [row["dice"] for row in evaluate(pairs, args.classes).values()]
    return float(np.nan_to_num(np.nanmean(scores)))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", required=True)
    ap.add_argument("--out", type=Path, default=Path("runs"))
    ap.add_argument("--classes", type=int, default=2, help="including background")
    ap.add_argument("--patch", type=int, nargs=2, default=(256, 256))
    ap.add_argument("--epochs", type=int, default=200)
    ap.add_argument("--batch-size", type=int, default=12)
    ap.add_argument("--lr", type=float, default=1e-2)
    ap.add_argument("--val-every", type=int, default=5)
    ap.add_argument("--seed", type=int, default=0)
    args = ap.parse_args()

    depth = 5
    if any(p % 2 ** depth for p in args.patch):
        raise SystemExit(f"patch sides must be multiples of {2 ** depth}")
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    names = list_cases(args.data)
    random.Random(args.seed).shuffle(names)
    n_val = max(1, int(len(names) * 0.2))
    val_cases = [load_case(args.data, n) for n in names[:n_val]]
    train_set = PatchDataset(args.data, names[n_val:], args.patch, seed=args.seed)
    loader = DataLoader(train_set, args.batch_size, num_workers=4, drop_last=True)

    model_args = dict(in_channels=val_cases[0][0].shape[0], num_classes=args.classes, depth=depth)
    model = UNet(**model_args).to(device)
    criterion = DiceCELoss()
    optimizer = torch.optim.SGD(model.parameters(), args.lr, momentum=0.99, nesterov=True, weight_decay=3e-5)
    poly = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda e: (1 - e / args.epochs) ** 0.9)

    best = -1.0
    for epoch in range(args.epochs):
        train_set.epoch = epoch
        model.train()
        running = 0.0
        for image, mask in loader:
            image, mask = image.to(device), mask.to(device)
            optimizer.zero_grad()
            loss = deep_supervision(criterion, model(image), mask)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 12.0)
            optimizer.step()
            running += loss.item()
        line = f"epoch {epoch + 1:4d}  lr {poly.get_last_lr()[0]:.5f}  loss {running / max(len(loader), 1):.4f}"
        poly.step()

        if (epoch + 1) % args.val_every == 0 or epoch + 1 == args.epochs:
            dice = validate(model, val_cases, args, device)
            line += f"  val dice {dice:.4f}"
            state = {"model": model.state_dict(), "model_args": model_args,
                     "patch_size": list(args.patch), "epoch": epoch + 1, "dice": dice}
            if dice > best:
                best = dice
                torch.save(state, args.out / "best.pt")
        print(line, flush=True)


if __name__ == "__main__":
    main()
