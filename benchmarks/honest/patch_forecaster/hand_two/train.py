"""Train a forecaster and compare it with the baselines.

    python train.py data/ETTh1.csv --context 336 --horizon 96 --loss quantile
"""
from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from data import load_splits
from metrics import evaluate, mase_scale, training_loss
from models import DLinear, PatchTransformer, SeasonalNaive


@torch.no_grad()
def validation_loss(model: nn.Module, loader: DataLoader, kind: str, quantiles: Tensor,
                    device: torch.device) -> float:
    model.eval()
    total, count = 0.0, 0
    for context, target in loader:
        loss = training_loss(kind, model(context.to(device)), target.to(device), quantiles)
        total += loss.item() * len(context)
        count += len(context)
    return total / count


def fit(model: nn.Module, train: DataLoader, val: DataLoader, quantiles: Tensor,
        args: argparse.Namespace, device: torch.device) -> nn.Module:
    """One-cycle training with early stopping; returns the model at its best validation loss."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=args.lr, epochs=args.epochs, steps_per_epoch=len(train), pct_start=0.3)
    best, best_state, stale = float("inf"), None, 0
    for epoch in range(args.epochs):
        model.train()
        running = 0.0
        for context, target in train:
            loss = training_loss(args.loss, model(context.to(device)), target.to(device), quantiles)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), args.clip)
            optimizer.step()
            schedule.step()
            running += loss.item()
        current = validation_loss(model, val, args.loss, quantiles, device)
        print(f"  epoch {epoch + 1:3d}  train {running / len(train):.4f}  val {current:.4f}")
        if current < best:
            best, best_state, stale = current, copy.deepcopy(model.state_dict()), 0
        else:
            stale += 1
            if stale >= args.patience:
                print("  early stop")
                break
    if best_state is not None:
        model.load_state_dict(best_state)
    return model


def parse_args() -> argparse.Namespace:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("csv")
    ap.add_argument("--columns", nargs="*", default=None)
    ap.add_argument("--context", type=int, default=336)
    ap.add_argument("--horizon", type=int, default=96)
    ap.add_argument("--season", type=int, default=24)
    ap.add_argument("--patch", type=int, default=16)
    ap.add_argument("--stride", type=int, default=8)
    ap.add_argument("--head", choices=["flatten", "pooled"], default="flatten")
    ap.add_argument("--loss", choices=["mse", "mae", "quantile"], default="mse")
    ap.add_argument("--quantiles", type=float, nargs="+",
                    default=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    ap.add_argument("--epochs", type=int, default=50)
    ap.add_argument("--patience", type=int, default=8)
    ap.add_argument("--batch-size", type=int, default=64)
    ap.add_argument("--lr", type=float, default=5e-4)
    ap.add_argument("--weight-decay", type=float, default=1e-4)
    ap.add_argument("--clip", type=float, default=1.0)
    ap.add_argument("--out", default="runs/forecast")
    ap.add_argument("--seed", type=int, default=0)
    return ap.parse_args()


def main() -> None:
    args = parse_args()
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    splits = load_splits(args.csv, args.context, args.horizon, columns=args.columns)
    train = DataLoader(splits.train, args.batch_size, shuffle=True)
    val = DataLoader(splits.val, args.batch_size)
    test = DataLoader(splits.test, args.batch_size)

    quantiles = torch.tensor(sorted(args.quantiles), device=device)
    outputs = len(quantiles) if args.loss == "quantile" else 1
    models: dict[str, nn.Module] = {
        "seasonal_naive": SeasonalNaive(args.horizon, args.season, outputs),
        "dlinear": DLinear(args.context, args.horizon, outputs),
        "patch_transformer": PatchTransformer(
            len(splits.names), args.context, args.horizon, outputs=outputs, patch=args.patch,
            stride=args.stride, head=args.head),
    }
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    scale = mase_scale(splits.train_values, args.season)
    results = {}
    for name, model in models.items():
        model.to(device)
        if any(p.requires_grad for p in model.parameters()):
            print(f"training {name}")
            fit(model, train, val, quantiles, args, device)
            torch.save({"model": model.state_dict(), "args": vars(args),
                        "mean": torch.from_numpy(splits.mean),
                        "std": torch.from_numpy(splits.std)}, out / f"{name}.pt")
        results[name] = evaluate(model, test, quantiles, scale, device)

    print(f"{'model':<20}" + "".join(f"{m:>10}" for m in ("mse", "mae", "mase", "wql")))
    for name, row in results.items():
        print(f"{name:<20}" + "".join(f"{v:>10.4f}" for v in row.values()))
    (out / "results.json").write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
