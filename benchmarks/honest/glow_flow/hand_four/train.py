"""python train.py [key=value ...]   images: any folder of png/jpg"""
import ast
import copy
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from flow import Glow

C = dict(
    root="images", out="run", size=32, levels=3, K=24, w=384, lu=True, alpha=0.05, bits=8,
    bs=64, steps=150000, lr=5e-4, warm=2000, clip=50.0, ema=0.999, val=0.05,
    log=100, every=5000, T=0.7, seed=11, workers=4,
)


class Folder(torch.utils.data.Dataset):
    def __init__(self, files, n, flip):
        self.files, self.n, self.flip = files, n, flip

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        return pixels(self.files[i], self.n, self.flip and torch.rand(()) < 0.5)


def pixels(p, n, flip=False):
    """Centre square, resampled to n x n, levels 0..255 as floats."""
    im = Image.open(p).convert("RGB")
    W, H = im.size
    s = min(W, H)
    a, b = (W - s) // 2, (H - s) // 2
    im = im.resize((n, n), Image.BOX if s >= n else Image.BICUBIC, box=(a, b, a + s, b + s))
    x = np.asarray(im, np.float32).transpose(2, 0, 1)
    return torch.from_numpy(np.array(x[:, :, ::-1] if flip else x))


def sheet(p, x, nc=8):
    """x (N,3,H,W) in [0,1] -> one picture with nc columns."""
    N, c, H, W = x.shape
    nr = -(-N // nc)
    y = torch.ones(nr * nc, c, H, W)
    y[:N] = x.cpu()
    y = y.reshape(nr, nc, c, H, W).permute(0, 3, 1, 4, 2).reshape(nr * H, nc * W, c)
    Image.fromarray((255 * y.numpy() + 0.5).astype(np.uint8)).save(p)


def build(c):
    return Glow(3, c["size"], c["levels"], c["K"], c["w"], c["lu"], c["alpha"], c["bits"])


def main():
    for a in sys.argv[1:]:
        k, v = a.split("=", 1)
        assert k in C, k
        C[k] = v if isinstance(C[k], str) else ast.literal_eval(v)
    torch.manual_seed(C["seed"])
    dev = "cuda" if torch.cuda.is_available() else "cpu"
    out = Path(C["out"])
    out.mkdir(parents=True, exist_ok=True)
    F = sorted(p for p in Path(C["root"]).rglob("*") if p.suffix.lower() in (".png", ".jpg", ".jpeg"))
    F = [F[i] for i in np.random.default_rng(C["seed"]).permutation(len(F))]
    nv = max(1, int(C["val"] * len(F)))
    mk = lambda f, tr: torch.utils.data.DataLoader(
        Folder(f, C["size"], tr), C["bs"], shuffle=tr, drop_last=tr, num_workers=C["workers"])
    tr, va = mk(F[nv:], True), mk(F[:nv], False)
    if len(tr) == 0:
        raise SystemExit("fewer images than one batch")

    f = build(C).to(dev).train()
    with torch.no_grad():
        f.encode(next(iter(tr)).to(dev))        # sets the activation norms
    e = copy.deepcopy(f).eval().requires_grad_(False)
    opt = torch.optim.Adam(f.parameters(), C["lr"], betas=(0.9, 0.99))
    print(f"{sum(p.numel() for p in f.parameters()) / 1e6:.1f} M parameters, {len(F) - nv} + {nv} images")
    it, bad, acc, t0 = 0, 0, [], time.time()
    while it < C["steps"]:
        for x in tr:
            if it >= C["steps"]:
                break
            it += 1
            lr = C["lr"] * min(1.0, it / C["warm"])
            for g in opt.param_groups:
                g["lr"] = lr
            L = f.bpd(x.to(dev)).mean()
            opt.zero_grad(set_to_none=True)
            L.backward()
            gn = torch.nn.utils.clip_grad_norm_(f.parameters(), C["clip"])
            if not torch.isfinite(gn):          # drop the step, give up if it becomes a habit
                bad += 1
                if bad > 50:
                    raise FloatingPointError(f"step {it}: {bad} non-finite gradients")
                continue
            opt.step()
            a = min(C["ema"], (1 + it) / (10 + it))
            with torch.no_grad():
                for p, q in zip(e.parameters(), f.parameters()):
                    p.lerp_(q, 1 - a)
            acc.append(L.item())
            if it % C["log"] == 0:
                print(f"{it:7d}  {np.mean(acc):.4f} bit/dim  |g| {gn:.2f}  lr {lr:.1e}  {time.time() - t0:.0f} s", flush=True)
                acc = []
            if it % C["every"] == 0 or it == C["steps"]:
                with torch.no_grad():
                    b = torch.cat([e.bpd(y.to(dev)).cpu() for y in va])
                print(f"   val {b.mean():.4f} +- {b.std() / math.sqrt(len(b)):.4f}", flush=True)
                sheet(out / f"s{it:07d}.png", e.sample(64, C["T"]))
                torch.save(dict(f=f.state_dict(), e=e.state_dict(), opt=opt.state_dict(), it=it, C=C), out / "ck.pt")


if __name__ == "__main__":
    main()
