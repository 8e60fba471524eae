"""Train a forecaster with early stopping, then report it next to the baselines on the test split."""
from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from data import load_splits
from metrics import Metrics, make_loss, mase_scale
from models import DLinear, PatchForecaster, SeasonalNaive


def fit(model: nn.Module, train: DataLoader, val: DataLoader, loss_fn, args, device) -> nn.Module:
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=args.lr, epochs=args.epochs, steps_per_epoch=len(train), pct_start=0.3)
    best, best_state, stale = float("inf"), copy.deepcopy(model.state_dict()), 0
    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        for x, y in train:
            x, y = x.to(device), y.to(device)
            loss = loss_fn(model(x), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
        val_loss = validate(model, val, loss_fn, device)
        print(f"{type(model).__name__} epoch {epoch:3d}  train {total / len(train):.5f}  val {val_loss:.5f}", flush=True)
        if val_loss < best:
            best, best_state, stale = val_loss, copy.deepcopy(model.state_dict()), 0
        else:
            stale += 1
            if stale >= args.patience:
                break
    model.load_state_dict(best_state)
    return model


@torch.no_grad()
def validate(model: nn.Module, loader: DataLoader, loss_fn, device) -> float:
    model.eval()
    total = count = 0.0
    for x, y in loader:
        total += loss_fn(model(x.to(device)), y.to(device)).item() * len(x)
        count += len(x)
    return total / count


@torch.no_grad()
def evaluate(model: nn.Module, loader: DataLoader, metrics: Metrics, device) -> dict[str, float]:
    model.eval()
    for x, y in loader:
        metrics.update(model(x.to(device)), y.to(device))
    return metrics.compute()


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("csv", type=Path)
    ap.add_argument("--date-column", default="date")
    ap.add_argument("--context", type=int, default=336)
    ap.add_argument("--horizon", type=int, default=96)
    ap.add_argument("--season", type=int, default=24)
    ap.add_argument("--patch", type=int, default=16)
    ap.add_argument("--stride", type=int, default=8)
    ap.add_argument("--dim", type=int, default=128)
    ap.add_argument("--depth", type=int, default=3)
    ap.add_argument("--head", choices=["flatten", "pooled"], default="flatten")
    ap.add_argument("--loss", choices=["mse", "mae", "quantile"], default="mse")
    ap.add_argument("--quantiles", type=float, nargs="+", default=[0.1, 0.25, 0.5, 0.75, 0.9])
    ap.add_argument("--epochs", type=int, default=50)
    ap.add_argument("--patience", type=int, default=8)
    ap.add_argument("--batch-size", type=int, default=64)
    ap.add_argument("--lr", type=float, default=1e-3)
    ap.add_argument("--weight-decay", type=float, default=1e-4)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--out", type=Path, default=Path("runs/forecast"))
    args = ap.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    splits = load_splits(args.csv, args.context, args.horizon, date_column=args.date_column)
    train = DataLoader(splits.train, args.batch_size, shuffle=True)
    val, test = (DataLoader(s, args.batch_size) for s in (splits.val, splits.test))
    # A point forecast is scored as a single median.
    levels = torch.tensor(args.quantiles if args.loss == "quantile" else [0.5], device=device)
    q = len(levels)
    loss_fn = make_loss(args.loss, levels)
    scale = mase_scale(splits.train_series, args.season)

    patch_args = dict(channels=len(splits.names), context=args.context, horizon=args.horizon, patch=args.patch,
                      stride=args.stride, dim=args.dim, depth=args.depth, head=args.head, num_quantiles=q)
    forecaster = fit(PatchForecaster(**patch_args).to(device), train, val, loss_fn, args, device)
    torch.save({"model": forecaster.state_dict(), "args": patch_args, "levels": levels.tolist()}, args.out / "best.pt")
    linear = fit(DLinear(args.context, args.horizon, num_quantiles=q).to(device), train, val, loss_fn, args, device)
    naive = SeasonalNaive(args.horizon, args.season, num_quantiles=q)

    results = {}
    for name, model in {"patch": forecaster, "dlinear": linear, "seasonal_naive": naive}.items():
        results[name] = evaluate(model, test, Metrics(levels, scale), device)
        print(f"{name:15s}" + "  ".join(f"{k} {v:.4f}" for k, v in results[name].items()))
    (args.out / "results.json").write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
