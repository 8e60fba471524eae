import csv
import numpy as np
import torch

gone = {"", "na", "nan", "null", "none", "?"}


def num(s):
    try:
        return float(s)
    except ValueError:
        return np.nan


def miss(s):
    return s.strip().lower() in gone


def numeric(col):
    return all(miss(s) or not np.isnan(num(s)) for s in col)


def read(path, target, cats=(), drop=(), sep=","):
    """csv -> dict(num={name: floats}, cat={name: strings}, y=strings); rows without a target are left out"""
    with open(path, newline="") as f:
        head, *rows = [r for r in csv.reader(f, delimiter=sep) if r]
    t = head.index(target)
    rows = [r for r in rows if not miss(r[t])]
    cols = {h: [r[i].strip() for r in rows] for i, h in enumerate(head) if i != t and h not in drop}
    cols = {h: c for h, c in cols.items() if not all(map(miss, c))}
    isnum = {h: h not in cats and numeric(c) for h, c in cols.items()}
    return {
        "num": {h: np.array([np.nan if miss(s) else num(s) for s in c]) for h, c in cols.items() if isnum[h]},
        "cat": {h: np.array(["" if miss(s) else s for s in c]) for h, c in cols.items() if not isnum[h]},
        "y": np.array([r[t].strip() for r in rows]),
    }


def guess(y):
    k = len(set(y))
    return "bin" if k == 2 else "reg" if numeric(y) and k > 20 else "multi"


def split(n, val=0.15, test=0.2, seed=0):
    p = np.random.default_rng(seed).permutation(n)
    a, b = int(n * test), int(n * (test + val))
    return {"train": p[b:], "val": p[a:b], "test": p[:a]}


def standard(x):
    m, s = x.mean(), x.std() + 1e-8
    return lambda v: (v - m) / s


def quantile(x, nq=1000, noise=1e-3, seed=0):
    # jitter spreads ties at fit time, so that repeated values get a sane rank
    x = x + noise * x.std() * np.random.default_rng(seed).standard_normal(len(x))
    p = np.linspace(0, 1, max(2, min(nq, len(x) // 20)))
    q = np.quantile(x, p)

    def f(v):
        u = np.clip(np.interp(v, q, p), 1e-5, 1 - 1e-5)
        return np.sqrt(2) * torch.erfinv(torch.from_numpy(2 * u - 1)).numpy()

    return f


scalers = {"standard": standard, "quantile": quantile}


def scale(x, kind):
    """closure: floats with nan -> scaled floats with 0 where missing"""
    ok = x[~np.isnan(x)]
    f = scalers[kind](ok if len(ok) else np.zeros(2))
    return lambda v: np.where(np.isnan(v), 0.0, f(np.nan_to_num(v)))


def code(x):
    """closure: strings -> ints, 0 for missing or never seen in training"""
    ix = {s: i + 1 for i, s in enumerate(sorted(set(x) - {""}))}
    return lambda v: np.array([ix.get(s, 0) for s in v]), len(ix) + 1


def encode(tab, idx, task, kind="quantile"):
    """fit on the train rows; returns {part: {x, m, c, y}} of tensors and a dict of facts about the table"""
    tr, n = idx["train"], len(tab["y"])
    fs = {h: scale(v[tr], kind) for h, v in tab["num"].items()}
    cs = {h: code(v[tr]) for h, v in tab["cat"].items()}
    stack = lambda a, t: torch.tensor(np.stack(a, 1) if a else np.zeros((n, 0)), dtype=t)
    info = {"task": task, "nnum": len(fs), "sizes": [k for _, k in cs.values()], "mu": 0.0, "sd": 1.0}
    if task == "reg":
        y = np.array([float(s) for s in tab["y"]])
        info |= {"mu": y[tr].mean(), "sd": y[tr].std() + 1e-8, "out": 1}
        y = (y - info["mu"]) / info["sd"]
    else:
        names, y = np.unique(tab["y"], return_inverse=True)
        info |= {"names": names.tolist(), "out": 1 if task == "bin" else len(names)}
    full = {
        "x": stack([fs[h](v) for h, v in tab["num"].items()], torch.float32),
        "m": stack([np.isnan(v) for v in tab["num"].values()], torch.float32),
        "c": stack([cs[h][0](v) for h, v in tab["cat"].items()], torch.long),
        "y": torch.tensor(y, dtype=torch.long if task == "multi" else torch.float32),
    }
    return {k: {a: t[i] for a, t in full.items()} for k, i in idx.items()}, info
