import argparse
import json
import random
import numpy as np
import torch
import torch.nn.functional as F
from data import encode, guess, read, scalers, split
from model import groups, models

losses = {
    "reg": lambda z, y: F.mse_loss(z[:, 0], y),
    "bin": lambda z, y: F.binary_cross_entropy_with_logits(z[:, 0], y),
    "multi": F.cross_entropy,
}


def seed_all(s):
    random.seed(s), np.random.seed(s), torch.manual_seed(s)


def auc(s, y):
    """mann-whitney, ties get their mean rank"""
    _, inv, cnt = np.unique(s, return_inverse=True, return_counts=True)
    r = (np.cumsum(cnt) - (cnt - 1) / 2)[inv]
    a, b = int((y == 1).sum()), int((y == 0).sum())
    return float((r[y == 1].sum() - a * (a + 1) / 2) / (a * b)) if a * b else float("nan")


def score(out, y, info):
    """out as predict gives it, y as encoded"""
    if info["task"] == "reg":
        return {"rmse": float(np.sqrt(np.mean((out - (y * info["sd"] + info["mu"])) ** 2)))}
    if info["task"] == "bin":
        return {"acc": float(((out > 0.5) == y).mean()), "auc": auc(out, y)}
    each = [auc(out[:, k], y == k) for k in range(out.shape[1]) if 0 < (y == k).sum() < len(y)]
    return {"acc": float((out.argmax(1) == y).mean()), "auc": float(np.mean(each)) if each else float("nan")}


@torch.no_grad()
def predict(f, p, d, info, bs=2048):
    """target units, probability of the second class, or a row of probabilities"""
    z = torch.cat([f(p, {k: t[i:i + bs] for k, t in d.items()}).cpu() for i in range(0, len(d["y"]), bs)])
    post = {
        "reg": lambda z: z[:, 0].double() * info["sd"] + info["mu"],
        "bin": lambda z: z[:, 0].sigmoid(),
        "multi": lambda z: z.softmax(1),
    }
    return post[info["task"]](z).numpy()


def fit(make, parts, info, a, seed):
    seed_all(seed)
    p, f = make(info, **vars(a))
    p = {k: t.to(a.dev).requires_grad_() for k, t in p.items()}
    opt = torch.optim.AdamW(groups(p, a.wd), lr=a.lr)
    tr, yv = parts["train"], parts["val"]["y"].cpu().numpy()
    sign = -1 if a.metric == "rmse" else 1
    best, keep, bad = -np.inf, None, 0
    for ep in range(a.epochs):
        tot = 0.0
        for i in torch.randperm(len(tr["y"])).to(a.dev).split(a.bs):
            b = {k: t[i] for k, t in tr.items()}
            loss = losses[info["task"]](f(p, b, True), b["y"])
            opt.zero_grad()
            loss.backward()
            opt.step()
            tot += loss.item() * len(i)
        s = score(predict(f, p, parts["val"], info), yv, info)[a.metric]
        if a.loud:
            print(f"  {ep:3d} loss {tot / len(tr['y']):.4f} val {a.metric} {s:.4f}")
        if sign * s > best:
            best, bad, keep = sign * s, 0, {k: t.detach().clone() for k, t in p.items()}
        else:
            bad += 1
        if bad >= a.patience:
            break
    return f, keep or p, sign * best


def main(a):
    tab = read(a.csv, a.target, a.cats, a.drop, a.sep)
    task = a.task or guess(tab["y"])
    a.metric = a.metric or {"reg": "rmse", "bin": "auc", "multi": "acc"}[task]
    parts, info = encode(tab, split(len(tab["y"]), seed=a.split_seed), task, a.scale)
    parts = {k: {n: t.to(a.dev) for n, t in d.items()} for k, d in parts.items()}
    print(f"{task}: {info['nnum']} numerical, {len(info['sizes'])} categorical,",
          ", ".join(f"{k} {len(d['y'])}" for k, d in parts.items()))
    yt, res, preds = parts["test"]["y"].cpu().numpy(), {}, {}
    for m in a.models:
        runs, outs = [], []
        for s in range(a.seed, a.seed + a.runs):
            f, p, v = fit(models[m], parts, info, a, s)
            outs.append(predict(f, p, parts["test"], info))
            runs.append(score(outs[-1], yt, info))
            print(f"{m} seed {s}: val {v:.4f} test", {k: round(x, 4) for k, x in runs[-1].items()})
        preds[m] = np.mean(outs, 0)
        res[m] = {k: [float(np.mean(c)), float(np.std(c))] for k in runs[0] for c in [[r[k] for r in runs]]}
        res[m]["ensemble"] = score(preds[m], yt, info)
        print(m, " ".join(f"{k} {v[0]:.4f} +- {v[1]:.4f}" for k, v in res[m].items() if k != "ensemble"))
    if a.out:
        with open(a.out + ".json", "w") as h:
            json.dump({"task": task, "metric": a.metric, "result": res}, h, indent=1)
        np.savez(a.out + ".npz", y=yt, **preds)


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("csv")
    ap.add_argument("target")
    ap.add_argument("--task", choices=list(losses))
    ap.add_argument("--metric", choices=["rmse", "acc", "auc"])
    ap.add_argument("--models", nargs="+", default=["ft", "mlp"], choices=list(models))
    ap.add_argument("--scale", default="quantile", choices=list(scalers))
    ap.add_argument("--sep", default=",")
    for k in ("cats", "drop"):
        ap.add_argument(f"--{k}", nargs="*", default=[])
    for k, v in dict(d=96, depth=3, heads=8, adrop=0.2, fdrop=0.1, rdrop=0.0, width=256, layers=3, lr=3e-4, wd=1e-5,
                     bs=256, epochs=200, patience=16, runs=3, seed=0, split_seed=0).items():
        ap.add_argument(f"--{k}", type=type(v), default=v)
    ap.add_argument("--dev", default="cuda" if torch.cuda.is_available() else "cpu")
    ap.add_argument("--out", default="")
    ap.add_argument("--loud", action="store_true")
    main(ap.parse_args())
