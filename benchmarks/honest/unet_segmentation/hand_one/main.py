"""Command line:  main.py train DATA OUT   |   main.py evaluate DATA OUT"""
import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from data import Augment, PatchDataset, list_cases, load_case, split_cases
from inference import evaluate_case, sliding_window
from model import DeepSupervisionLoss, UNet


def validate(model, root, cases, args, mirror, save_to=None):
    rows = {}
    for name in cases:
        image, mask = load_case(root, name)
        probs = sliding_window(model, image, (args.patch, args.patch), mirror=mirror)
        pred = probs.argmax(0).cpu().numpy()
        rows[name] = evaluate_case(pred, mask, args.classes, (args.spacing, args.spacing))
        if save_to is not None:
            np.save(save_to / f"{name}.npy", pred.astype(np.uint8))
    summary = {}
    for k in range(1, args.classes):
        values = np.array([r[k] for r in rows.values()])
        valid = values[~np.isnan(values[:, 0])]
        summary[k] = valid.mean(axis=0).tolist() if len(valid) else [float("nan")] * 2
    return rows, summary


def train(args, device):
    train_cases, val_cases = split_cases(list_cases(args.data), seed=args.seed)
    dataset = PatchDataset(args.data, train_cases, (args.patch, args.patch),
                           length=args.iters * args.batch, augment=Augment())
    loader = DataLoader(dataset, args.batch, num_workers=args.workers, drop_last=True,
                        pin_memory=device.type == "cuda")
    model = UNet(args.channels, args.classes).to(device)
    criterion = DeepSupervisionLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.99,
                                nesterov=True, weight_decay=3e-5)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda epoch: (1 - epoch / args.epochs) ** 0.9)

    best = -1.0
    for epoch in range(args.epochs):
        model.train()
        running = 0.0
        for image, mask in loader:
            image, mask = image.to(device), mask.to(device)
            loss = criterion(model(image), mask)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 12.0)
            optimizer.step()
            running += loss.item()
        lr = scheduler.get_last_lr()[0]
        scheduler.step()
        print(f"epoch {epoch + 1:4d}  lr {lr:.5f}  loss {running / len(loader):.4f}")

        if (epoch + 1) % args.val_every == 0 or epoch + 1 == args.epochs:
            _, summary = validate(model, args.data, val_cases, args, mirror=False)
            dice = float(np.nan_to_num(np.mean([v[0] for v in summary.values()])))
            print(f"            validation Dice {dice:.4f}")
            if dice > best:
                best = dice
                torch.save({"model": model.state_dict(), "epoch": epoch + 1, "dice": dice},
                           args.out / "best.pt")


def evaluate(args, device):
    _, cases = split_cases(list_cases(args.data), seed=args.seed)
    model = UNet(args.channels, args.classes).to(device)
    model.load_state_dict(torch.load(args.out / "best.pt", map_location=device)["model"])
    pred_dir = args.out / "predictions"
    pred_dir.mkdir(exist_ok=True)
    rows, summary = validate(model, args.data, cases, args, mirror=True, save_to=pred_dir)
    for k, (dice, hd) in summary.items():
        print(f"label {k}: Dice {dice:.4f}  HD95 {hd:.2f}")
    with open(args.out / "metrics.json", "w") as f:
        json.dump({"cases": rows, "mean": summary}, f, indent=2)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("command", choices=["train", "evaluate"])
    p.add_argument("data", type=Path)
    p.add_argument("out", type=Path)
    p.add_argument("--channels", type=int, default=1)
    p.add_argument("--classes", type=int, default=2, help="including background")
    p.add_argument("--patch", type=int, default=256, help="a multiple of 16")
    p.add_argument("--batch", type=int, default=12)
    p.add_argument("--iters", type=int, default=250, help="iterations per epoch")
    p.add_argument("--epochs", type=int, default=200)
    p.add_argument("--lr", type=float, default=0.01)
    p.add_argument("--val-every", type=int, default=5)
    p.add_argument("--workers", type=int, default=4)
    p.add_argument("--spacing", type=float, default=1.0, help="pixel size in mm")
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()

    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    {"train": train, "evaluate": evaluate}[args.command](args, device)


if __name__ == "__main__":
    main()
