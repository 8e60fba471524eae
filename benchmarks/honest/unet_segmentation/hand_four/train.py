"""python train.py key=value ...   (see C)"""
import ast
import sys
import time
from pathlib import Path

import numpy as np
import torch

from infer import score
from net import UNet, ds_loss
from slices import Patches, list_pairs, read

C = dict(
    root="data", out="run", c_in=1, n_cls=2, w0=24, depth=5, n_ds=3,
    patch=192, bs=16, epochs=200, n_it=200, lr=1e-2, mom=0.99, wd=3e-5, pw=0.9, clip=12.0,
    val=0.2, every=10, h=(1.0, 1.0), seed=1, workers=4,
    p_fg=0.4, p_rot=0.3, rot=25.0, zoom=1.3, p_ela=0.2, ela_sigma=(8.0, 14.0), ela_amp=4.0,
    p_gam=0.3, gamma=(0.7, 1.5), p_noise=0.15, noise=0.1,
)


def main():
    for a in sys.argv[1:]:
        k, v = a.split("=", 1)
        assert k in C, k
        C[k] = v if isinstance(C[k], str) else ast.literal_eval(v)
    assert C["patch"] % 2 ** C["depth"] == 0
    torch.manual_seed(C["seed"])
    dev = "cuda" if torch.cuda.is_available() else "cpu"
    out = Path(C["out"])
    out.mkdir(parents=True, exist_ok=True)

    pairs = list_pairs(C["root"])
    perm = np.random.default_rng(C["seed"]).permutation(len(pairs))
    nv = max(1, round(C["val"] * len(pairs)))
    va = [read(*pairs[i]) for i in perm[:nv]]
    D = Patches([pairs[i] for i in perm[nv:]], C, C["bs"] * C["n_it"], C["seed"])
    dl = torch.utils.data.DataLoader(D, C["bs"], num_workers=C["workers"], pin_memory=dev == "cuda")

    f = UNet(C["c_in"], C["n_cls"], C["w0"], C["depth"], n_ds=C["n_ds"]).to(dev)
    print(f"{sum(p.numel() for p in f.parameters()) / 1e6:.2f} M parameters, {len(D.data)} train, {nv} val")
    opt = torch.optim.SGD(f.parameters(), C["lr"], momentum=C["mom"], nesterov=True, weight_decay=C["wd"])
    amp = torch.cuda.amp.GradScaler(enabled=dev == "cuda")
    N, it, best = C["epochs"] * C["n_it"], 0, -1.0
    for ep in range(C["epochs"]):
        D.ep, t0, acc = ep, time.time(), 0.0
        f.train()
        for x, m in dl:
            for g in opt.param_groups:
                g["lr"] = C["lr"] * (1 - it / N) ** C["pw"]
            x, m = x.to(dev, non_blocking=True), m.to(dev, non_blocking=True)
            with torch.autocast(dev, enabled=dev == "cuda"):
                z = f(x)
            L = ds_loss(z, m)
            opt.zero_grad(set_to_none=True)
            amp.scale(L).backward()
            amp.unscale_(opt)
            torch.nn.utils.clip_grad_norm_(f.parameters(), C["clip"])
            amp.step(opt)
            amp.update()
            acc += L.item()
            it += 1
        s = f"{ep:4d}  L {acc / C['n_it']:.4f}  {time.time() - t0:.0f} s"
        last = ep == C["epochs"] - 1
        if ep % C["every"] == C["every"] - 1 or last:
            # mirrors only at the very end, they cost a factor four
            S = score(f, va, C["patch"], C["n_cls"], C["h"], tta=last, dev=dev)
            s += "  dice " + " ".join(f"{d:.3f}" for d in S[:, 0]) + "  hd95 " + " ".join(f"{d:.2f}" for d in S[:, 1])
            torch.save(dict(f=f.state_dict(), C=C, ep=ep), out / "last.pt")
            if S[:, 0].mean() > best:
                best = S[:, 0].mean()
                torch.save(dict(f=f.state_dict(), C=C, ep=ep), out / "best.pt")
        print(s, flush=True)


if __name__ == "__main__":
    main()
