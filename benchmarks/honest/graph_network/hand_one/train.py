"""Train on a file of molecules, stop when the mean ROC-AUC of the validation part no longer rises."""

import argparse
import math

import numpy as np
import torch
import torch.nn.functional as F

from molecules import batches, load, split_by_group, split_random
from network import NetConfig, forward, init


def masked_bce(z, y):
    """Mean over known labels; y is nan where unknown."""
    known = ~y.isnan()
    if not known.any():
        return 0.0 * z.sum()
    return F.binary_cross_entropy_with_logits(z[known], y[known])


def auc(score, y):
    """P(score of a positive > score of a negative), ties count half; nan if a class is absent.

    Mann-Whitney: U = sum of the positives' midranks - n1 (n1 + 1) / 2.
    """
    n1 = int((y == 1).sum())
    n0 = len(y) - n1
    if n1 == 0 or n0 == 0:
        return math.nan
    _, where, count = torch.unique(score.double(), return_inverse=True, return_counts=True)
    midrank = count.cumsum(0) - (count - 1) / 2
    u = midrank[where][y == 1].sum() - n1 * (n1 + 1) / 2
    return float(u / (n1 * n0))


def task_aucs(z, y):  # (G, T), (G, T) -> (T,)
    return np.array([auc(z[k, t], y[k, t]) for t, k in enumerate((~y.isnan()).T)])


@torch.no_grad()
def evaluate(p, c, graphs, size, device):
    out = [(forward(p, c, b.to(device)).cpu(), b.labels) for b in batches(graphs, size)]
    z, y = (torch.cat(t) for t in zip(*out))
    a = task_aucs(z, y)
    mean = float(np.nanmean(a)) if not np.isnan(a).all() else math.nan
    return mean, float(masked_bce(z, y)), a


def epoch(p, c, opt, graphs, a, rng):
    total = 0.0
    for b in batches(graphs, a.batch, rng):
        b = b.to(a.device)
        loss = masked_bce(forward(p, c, b, train=True), b.labels)
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(p.values(), a.clip)
        opt.step()
        total += loss.item() * len(b.labels)
    return total / len(graphs)


def fit(a, parts, rng):
    train, valid, test = parts
    c = NetConfig(len(train[0].labels), a.width, a.layers, a.heads, a.dropout, a.jump)
    p = {k: t.detach().to(a.device).requires_grad_() for k, t in init(c, a.seed).items()}
    opt = torch.optim.AdamW(
        [
            {"params": [t for t in p.values() if t.ndim > 1], "weight_decay": a.decay},
            {"params": [t for t in p.values() if t.ndim < 2], "weight_decay": 0.0},
        ],
        lr=a.lr,
    )
    best, kept, since = -math.inf, None, 0
    for k in range(a.epochs):
        loss = epoch(p, c, opt, train, a, rng)
        mean, val_loss, _ = evaluate(p, c, valid, a.batch, a.device)
        print(f"{k:4d}  train {loss:.4f}  valid {val_loss:.4f}  auc {mean:.4f}")
        if mean > best:
            best, since = mean, 0
            kept = {n: t.detach().clone() for n, t in p.items()}
        else:
            since += 1
        if since >= a.patience:
            break
    if kept is None:
        raise SystemExit("no task of the validation part has both classes; try another seed or split")
    mean, _, each = evaluate(kept, c, test, a.batch, a.device)
    print(f"best valid auc {best:.4f}, test auc {mean:.4f}, per task {np.array2string(each, precision=3)}")
    torch.save({"config": vars(c), "params": kept, "valid": best, "test": mean}, a.out)


if __name__ == "__main__":
    q = argparse.ArgumentParser(description=__doc__)
    q.add_argument("data", help="molecules, one JSON object per line")
    q.add_argument("--split", choices=["random", "group"], default="group")
    q.add_argument("--fractions", type=float, nargs=3, default=[0.8, 0.1, 0.1])
    q.add_argument("--width", type=int, default=192)
    q.add_argument("--layers", type=int, default=5)
    q.add_argument("--heads", type=int, default=4)
    q.add_argument("--dropout", type=float, default=0.2)
    q.add_argument("--jump", choices=["concat", "max", "last"], default="concat")
    q.add_argument("--batch", type=int, default=64)
    q.add_argument("--epochs", type=int, default=150)
    q.add_argument("--patience", type=int, default=20)
    q.add_argument("--lr", type=float, default=7e-4)
    q.add_argument("--decay", type=float, default=1e-4)
    q.add_argument("--clip", type=float, default=2.0)
    q.add_argument("--seed", type=int, default=0)
    q.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    q.add_argument("--out", default="gin.pt")
    args = q.parse_args()

    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    split = split_by_group if args.split == "group" else split_random
    parts = split(load(args.data), args.fractions, rng)
    if not all(parts):
        raise SystemExit("a part of the split is empty; change --fractions or --split")
    print("molecules:", " / ".join(str(len(s)) for s in parts))
    fit(args, parts, rng)
