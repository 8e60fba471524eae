"""train or test:  python run.py data/ --arch msg   |   python run.py data/ --test out/best.pt --votes 10"""
import argparse
import math
import os
import time

import numpy as np
import torch

import clouds as C
import nets as N


def lr_at(a):
    warm = lambda e: min(1.0, (e + 1) / max(a.warm, 1))
    return {"step": lambda e: warm(e) * max(a.lr * a.gamma ** (e // a.every), a.lrmin),
            "cos": lambda e: warm(e) * (a.lrmin + (a.lr - a.lrmin) * (1 + math.cos(math.pi * e / a.epochs)) / 2)}[a.sched]


def mom_at(a):
    """share of the fresh batch in the running statistics: large first, small later"""
    return lambda e: max(a.bnm * a.bndecay ** (e // a.every), a.bnmin)


def make_opt(a, p):
    groups = [{"params": [v for k, v in p.items() if k.endswith(".w")], "weight_decay": a.wd},
              {"params": [v for k, v in p.items() if not k.endswith(".w")], "weight_decay": 0.0}]
    return {"adam": lambda: torch.optim.Adam(groups, lr=a.lr),
            "sgd": lambda: torch.optim.SGD(groups, lr=a.lr, momentum=0.9, nesterov=True)}[a.opt]()


def score(pred, y, n):
    cm = np.zeros((n, n), int)
    np.add.at(cm, (y, pred), 1)
    seen = cm.sum(1) > 0
    per = np.diag(cm)[seen] / cm.sum(1)[seen]
    return {"oa": np.trace(cm) / cm.sum(), "macc": per.mean(), "per": dict(zip(np.flatnonzero(seen), per))}


@torch.no_grad()
def vote(p, s, xs, ys, a, n, votes=1):
    """mean class probability over `votes` passes; the first pass is left unturned"""
    total = 0
    for v in range(votes):
        g = np.random.default_rng(1000 + v)
        aug = C.chain(C.turn(a.turn), C.scale(0.9, 1.1)) if v else None
        total = total + torch.cat([N.forward(p, s, x, a.arch).softmax(-1)
                                   for x, _ in C.batches(xs, ys, a.pts, a.bs, g, aug, dev=a.dev)])
    return score(total.argmax(-1).cpu().numpy(), ys, n)


def save(path, p, s, opt, **more):
    torch.save({"p": {k: v.detach().cpu() for k, v in p.items()},
                "s": {k: v.cpu() for k, v in s.items()},
                "opt": opt.state_dict(), **more}, path)


def restore(ck, p, s):
    with torch.no_grad():
        for mine, theirs in ((p, ck["p"]), (s, ck["s"])):
            [mine[k].copy_(v) for k, v in theirs.items()]


def train(a):
    os.makedirs(a.out, exist_ok=True)
    names, xs, ys = C.load(a.root, "train", a.ch)
    _, xt, yt = C.load(a.root, "test", a.ch, names)
    print(f"{len(names)} classes, {len(xs)} train, {len(xt)} test")
    p, s = N.init(a.arch, len(names), a.ch, a.dev)
    opt, lr, mom = make_opt(a, p), lr_at(a), mom_at(a)
    g = np.random.default_rng(a.seed)
    aug = C.chain(C.drop(a.pdrop), C.turn(a.turn), C.scale(), C.jitter(a.jit))
    e0, best = 0, 0.0
    if a.resume:
        ck = torch.load(a.resume, map_location=a.dev)
        restore(ck, p, s)
        opt.load_state_dict(ck["opt"])
        e0, best = ck["epoch"] + 1, ck["best"]
    for e in range(e0, a.epochs):
        t, hits, seen, tot = time.time(), 0, 0, 0.0
        for q in opt.param_groups:
            q["lr"] = lr(e)
        for x, y in C.batches(xs, ys, a.pts, a.bs, g, aug, True, a.dev):
            z = N.forward(p, s, x, a.arch, True, mom(e), a.drop)
            loss = N.smooth_ce(z, y, a.eps)
            opt.zero_grad()
            loss.backward()
            opt.step()
            tot, hits, seen = tot + loss.item() * len(y), hits + (z.argmax(-1) == y).sum().item(), seen + len(y)
        r = vote(p, s, xt, yt, a, len(names))
        top, best = r["oa"] >= best, float(max(best, r["oa"]))
        for f in ["last"] + ["best"] * bool(top):
            save(f"{a.out}/{f}.pt", p, s, opt, epoch=e, best=best, names=names, arch=a.arch, ch=a.ch)
        print(f"{e:3d} lr {lr(e):.1e} bn {mom(e):.3f} loss {tot / seen:.4f} acc {hits / seen:.4f} "
              f"| oa {r['oa']:.4f} macc {r['macc']:.4f} best {best:.4f} ({time.time() - t:.0f}s)")


def test(a):
    ck = torch.load(a.test, map_location=a.dev)
    a.arch, a.ch, names = ck["arch"], ck["ch"], ck["names"]
    _, xt, yt = C.load(a.root, "test", a.ch, names)
    p, s = N.init(a.arch, len(names), a.ch, a.dev)
    restore(ck, p, s)
    r = vote(p, s, xt, yt, a, len(names), a.votes)
    print("\n".join(f"{names[i]:>16s} {v:.4f}" for i, v in r["per"].items()))
    print(f"overall {r['oa']:.4f}  mean class {r['macc']:.4f}  ({a.votes} votes)")


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("root")
    for k, v in dict(out="out", test="", resume="", epochs=200, bs=24, pts=1024, ch=3, lr=1e-3, lrmin=1e-5, warm=1,
                     gamma=0.7, every=20, wd=1e-4, bnm=0.5, bndecay=0.5, bnmin=0.01, drop=0.4, pdrop=0.8,
                     jit=0.01, eps=0.1, votes=10, seed=0,
                     dev="cuda" if torch.cuda.is_available() else "cpu").items():
        ap.add_argument("--" + k, type=type(v), default=v)
    for k, vs in dict(arch=["ssg", "msg"], opt=["adam", "sgd"], sched=["step", "cos"], turn=["up", "full", "none"]).items():
        ap.add_argument("--" + k, choices=vs, default=vs[0])
    a = ap.parse_args()
    torch.manual_seed(a.seed)
    (test if a.test else train)(a)
