"""Train a forecaster on a CSV file and compare it with the baselines."""
from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from data import Splits, load_splits
from metrics import evaluate, make_loss, naive_scale
from models import DLinear, PatchTransformer, SeasonalNaive


def parse_args() -> argparse.Namespace:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("csv", type=Path)
    ap.add_argument("--model", choices=["patch", "dlinear", "naive"], default="patch")
    ap.add_argument("--with-baselines", action="store_true", help="also run the other models")
    ap.add_argument("--context", type=int, default=336)
    ap.add_argument("--horizon", type=int, default=96)
    ap.add_argument("--season", type=int, default=24)
    ap.add_argument("--loss", choices=["mse", "mae", "quantile"], default="mse")
    ap.add_argument("--quantiles", type=float, nargs="+", default=[0.1, 0.25, 0.5, 0.75, 0.9])
    ap.add_argument("--patch", type=int, default=16)
    ap.add_argument("--stride", type=int, default=8)
    ap.add_argument("--dim", type=int, default=128)
    ap.add_argument("--heads", type=int, default=8)
    ap.add_argument("--depth", type=int, default=3)
    ap.add_argument("--dropout", type=float, default=0.2)
    ap.add_argument("--head", choices=["flatten", "pooled"], default="flatten")
    ap.add_argument("--epochs", type=int, default=50)
    ap.add_argument("--patience", type=int, default=8)
    ap.add_argument("--batch-size", type=int, default=64)
    ap.add_argument("--lr", type=float, default=1e-3)
    ap.add_argument("--weight-decay", type=float, default=1e-4)
    ap.add_argument("--clip", type=float, default=1.0)
    ap.add_argument("--out", type=Path, default=Path("runs/forecast"))
    ap.add_argument("--seed", type=int, default=0)
    return ap.parse_args()


def build_model(name: str, args: argparse.Namespace, channels: int, outputs: int) -> nn.Module:
    if name == "naive":
        return SeasonalNaive(args.horizon, args.season, outputs)
    if name == "dlinear":
        return DLinear(args.context, args.horizon, outputs)
    return PatchTransformer(channels, args.context, args.horizon, outputs, args.patch, args.stride, args.dim,
                            args.heads, args.depth, 2 * args.dim, args.dropout, args.head)


def fit(model: nn.Module, splits: Splits, args: argparse.Namespace, quantiles: torch.Tensor, device: str) -> None:
    """Train in place with early stopping; the best weights are restored at the end."""
    train = DataLoader(splits.train, args.batch_size, shuffle=True, drop_last=len(splits.train) > args.batch_size)
    val = DataLoader(splits.val, args.batch_size)
    criterion = make_loss(args.loss, quantiles)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, epochs=args.epochs,
                                                   steps_per_epoch=len(train), pct_start=0.3)
    best, best_state, stale = float("inf"), copy.deepcopy(model.state_dict()), 0
    for epoch in range(args.epochs):
        model.train()
        train_loss = 0.0
        for x, y in train:
            loss = criterion(model(x.to(device)), y.to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), args.clip)
            optimizer.step()
            schedule.step()
            train_loss += loss.item() / len(train)

        model.eval()
        with torch.no_grad():
            total = sum(criterion(model(x.to(device)), y.to(device)).item() * len(x) for x, y in val)
        val_loss = total / len(splits.val)
        print(f"epoch {epoch:3d}  train {train_loss:.4f}  val {val_loss:.4f}", flush=True)
        if val_loss < best:
            best, best_state, stale = val_loss, copy.deepcopy(model.state_dict()), 0
        else:
            stale += 1
            if stale >= args.patience:
                print(f"no improvement for {stale} epochs, stopping")
                break
    model.load_state_dict(best_state)


def main() -> None:
    args = parse_args()
    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    args.out.mkdir(parents=True, exist_ok=True)

    splits = load_splits(args.csv, args.context, args.horizon)
    levels = sorted(args.quantiles) if args.loss == "quantile" else [0.5]
    quantiles = torch.tensor(levels, device=device)
    scale = naive_scale(splits.train.series.numpy(), args.season)
    test = DataLoader(splits.test, args.batch_size)

    names = [args.model]
    if args.with_baselines:
        names += [n for n in ("dlinear", "naive") if n != args.model]
    results = {}
    for name in names:
        model = build_model(name, args, len(splits.names), len(levels)).to(device)
        if any(p.requires_grad for p in model.parameters()):
            print(f"training {name}")
            fit(model, splits, args, quantiles, device)
            torch.save({"model": model.state_dict(), "channels": splits.names, "quantiles": levels,
                        "mean": torch.as_tensor(splits.mean), "std": torch.as_tensor(splits.std)},
                       args.out / f"{name}.pt")
        results[name] = evaluate(model, test, quantiles, scale, device)

    for name, row in results.items():
        print(f"{name:10s}" + "".join(f"  {k} {v:.4f}" for k, v in row.items()))
    (args.out / "metrics.json").write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
