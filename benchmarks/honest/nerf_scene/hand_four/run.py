"""python run.py train|test|film [key=value ...]"""
import ast
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from field import Field, picture, trace
from scene import load, path, rays
from score import psnr, ssim

C = dict(
    root="data/lego", out="run", shrink=2, white=True, near=2.0, far=6.0,
    Lx=10, Ld=4, w=256, n=8, skip=4, nc=64, nf=128, noise=0.0,
    steps=200000, bs=2048, lr=5e-4, lr_end=2e-5, crop=500, chunk=8192,
    log=200, val=5000, save=10000, test_skip=8,
    kind="circle", frames=90, R=4.0, lat=30.0, seed=7,
)


def png(p, a):
    Image.fromarray((a.cpu().numpy() * 255 + 0.5).astype(np.uint8)).save(p)


def evaluate(fc, ff, c, split, dev, dump=None, only=None):
    I, T, f = load(c["root"], split, c["shrink"], c["test_skip"], c["white"])
    S = []
    for k in range(len(I) if only is None else min(only, len(I))):
        y, z = picture(fc, ff, *rays(*I.shape[1:3], f, T[k].to(dev)), c)
        S.append((psnr(y, I[k].to(dev)), ssim(y, I[k].to(dev))))
        if dump is not None:
            png(dump / f"{split}_{k:03d}.png", y)
            png(dump / f"{split}_{k:03d}_z.png", ((z - c["near"]) / (c["far"] - c["near"])).clamp(0, 1))
    return np.mean(S, 0)


def train(fc, ff, c, out, dev):
    par = [*fc.parameters(), *ff.parameters()]
    opt = torch.optim.Adam(par, c["lr"], eps=1e-8)
    it0, ck = 0, out / "ck.pt"
    if ck.exists():
        s = torch.load(ck, map_location=dev)
        fc.load_state_dict(s["fc"])
        ff.load_state_dict(s["ff"])
        opt.load_state_dict(s["opt"])
        it0 = s["it"]
        print("resumed at", it0)
    I, T, f = load(c["root"], "train", c["shrink"], 1, c["white"])
    N, H, W = I.shape[:3]
    OD = [rays(H, W, f, t) for t in T]
    O = torch.stack([a[0][0, 0] for a in OD]).to(dev)       # one origin per camera is enough
    D = torch.stack([a[1] for a in OD]).to(dev)
    I = I.to(dev)
    print(f"{N} images {H}x{W}, f = {f:.1f} px, {N * H * W / 1e6:.1f} M rays")
    t0, acc = time.time(), []
    for it in range(it0 + 1, c["steps"] + 1):
        lr = c["lr"] * (c["lr_end"] / c["lr"]) ** (it / c["steps"])
        for g in opt.param_groups:
            g["lr"] = lr
        # early on only the central half, else everything may collapse to white
        q = 4 if it <= c["crop"] else 10 ** 9
        h0, w0 = H // q, W // q
        n = torch.randint(N, (c["bs"],), device=dev)
        i = torch.randint(h0, H - h0, (c["bs"],), device=dev)
        j = torch.randint(w0, W - w0, (c["bs"],), device=dev)
        q0, q1 = trace(fc, ff, O[n], D[n, i, j], c, True)
        y = I[n, i, j]
        e0, e1 = ((q0[0] - y) ** 2).mean(), ((q1[0] - y) ** 2).mean()
        opt.zero_grad(set_to_none=True)
        (e0 + e1).backward()
        opt.step()
        acc.append(e1.detach())
        if it % c["log"] == 0:
            m = torch.stack(acc).mean().item()
            print(f"{it:7d}  mse {m:.3e}  psnr {-10 * np.log10(m):.2f}  lr {lr:.1e}  "
                  f"{1e3 * (time.time() - t0) / len(acc):.0f} ms/it", flush=True)
            t0, acc = time.time(), []
        if it % c["save"] == 0 or it == c["steps"]:
            torch.save(dict(fc=fc.state_dict(), ff=ff.state_dict(), opt=opt.state_dict(), it=it, c=c), ck)
        if it % c["val"] == 0:
            print("  val psnr %.2f ssim %.4f" % tuple(evaluate(fc, ff, c, "val", dev, out, 2)), flush=True)
            t0, acc = time.time(), []


def main():
    mode = sys.argv[1] if len(sys.argv) > 1 else "train"
    for a in sys.argv[2:]:
        k, v = a.split("=", 1)
        C[k] = v if isinstance(C[k], str) else ast.literal_eval(v)
    torch.manual_seed(C["seed"])
    dev = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    out = Path(C["out"])
    out.mkdir(parents=True, exist_ok=True)
    fc, ff = (Field(C["Lx"], C["Ld"], C["w"], C["n"], C["skip"]).to(dev) for _ in range(2))
    if mode == "train":
        return train(fc, ff, C, out, dev)
    s = torch.load(out / "ck.pt", map_location=dev)
    fc.load_state_dict(s["fc"])
    ff.load_state_dict(s["ff"])
    if mode == "test":
        print("psnr %.3f  ssim %.4f" % tuple(evaluate(fc, ff, C, "test", dev, out)))
    elif mode == "film":
        I, _, f = load(C["root"], "train", C["shrink"], 10 ** 6, C["white"])   # only for size and focal length
        (out / C["kind"]).mkdir(exist_ok=True)
        for k, T in enumerate(path(C["kind"], C["frames"], C["R"], C["lat"])):
            png(out / C["kind"] / f"{k:04d}.png", picture(fc, ff, *rays(*I.shape[1:3], f, T.to(dev)), C)[0])
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
