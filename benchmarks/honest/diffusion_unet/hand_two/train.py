"""python train.py folder/  (folder/class/*.png, or flat for no classes), or --toy for coloured shapes."""

import argparse
import time
from pathlib import Path

import torch
from diffusion import loss
from torch import Tensor
from unet import UNet


def toy(n: int, size: int) -> tuple[Tensor, Tensor]:
    """Class 0 discs, class 1 squares, class 2 stripes, of random colour on black; (n, 3, S, S) in [-1, 1]."""
    g = torch.Generator().manual_seed(0)
    y = torch.randint(0, 3, (n,), generator=g)
    cy, cx, r = torch.rand(3, n, 1, 1, generator=g) * torch.tensor([0.4, 0.4, 0.2])[:, None, None, None] + 0.3
    v, u = torch.meshgrid(*[(torch.arange(size) + 0.5) / size] * 2, indexing="ij")
    dy, dx = (v - cy).abs(), (u - cx).abs()
    shapes = torch.stack([dy.hypot(dx) < r, torch.maximum(dy, dx) < r * 0.9, (8 * v / r).sin() > 0])
    m = shapes[y, torch.arange(n)][:, None].float()
    return m * (torch.rand(n, 3, 1, 1, generator=g) * 0.7 + 0.3) * 2 - 1, y


def folder(root: str, size: int) -> tuple[Tensor, Tensor]:
    """All images of a folder, centre-cropped and resized, (N, 3, S, S) in [-1, 1], and their classes."""
    import numpy as np  # noqa: PLC0415
    from PIL import Image, ImageOps  # noqa: PLC0415

    files = sorted(p for p in Path(root).rglob("*") if p.suffix.lower() in {".png", ".jpg", ".jpeg", ".webp"})
    if not files:
        raise SystemExit(f"no images under {root}")
    names = sorted({p.parent for p in files})
    xs = [np.asarray(ImageOps.fit(Image.open(p).convert("RGB"), (size, size))) for p in files]
    x = torch.from_numpy(np.stack(xs)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return x, torch.tensor([names.index(p.parent) for p in files])


def ema_step(avg: dict[str, Tensor], net: torch.nn.Module, step: int, decay: float) -> None:
    """Move the averages towards the weights; young averages move faster."""
    d = min(decay, (1 + step) / (10 + step))
    now = net.state_dict()
    torch._foreach_lerp_([*avg.values()], [now[k] for k in avg], 1 - d)


def endless(x: Tensor, y: Tensor, b: int, flip: bool):
    """Shuffled batches for ever."""
    while True:
        for i in torch.randperm(len(x)).split(b):
            if len(i) == min(b, len(x)):
                s = x[i]
                yield torch.where(torch.rand(len(i), 1, 1, 1) < 0.5, s.flip(-1), s) if flip else s, y[i]


def main(a: argparse.Namespace) -> None:
    """Train and save raw and averaged weights."""
    torch.manual_seed(a.seed)
    x, y = toy(2000, a.size) if a.toy else folder(a.data, a.size)
    k = int(y.max()) + 1
    cfg = {"size": a.size, "width": a.width, "mults": tuple(a.mults), "attn": tuple(a.attn), "drop": a.drop}
    net = UNet({**cfg, "blocks": a.blocks, "classes": k if k > 1 else 0}).to(a.device)
    print(f"{len(x)} images, {k} classes, {sum(p.numel() for p in net.parameters()) / 1e6:.1f}M parameters")
    opt = torch.optim.AdamW(net.parameters(), a.lr, betas=(0.9, 0.99), weight_decay=0.0)
    avg, first = {n: p.detach().clone() for n, p in net.state_dict().items()}, 0
    if a.resume:
        ck = torch.load(a.resume, map_location=a.device, weights_only=True)
        net.load_state_dict(ck["net"])
        opt.load_state_dict(ck["opt"])
        avg, first = ck["ema"], ck["step"]

    amp = torch.autocast(a.device, torch.bfloat16, enabled=a.device == "cuda")
    data, t0, mean = endless(x, y, a.batch, a.flip), time.time(), None
    net.train()
    for step in range(first, a.steps):
        xb, yb = (v.to(a.device) for v in next(data))
        for g in opt.param_groups:
            g["lr"] = a.lr * min(1, (step + 1) / a.warmup)
        with amp:
            err = loss(net, xb, yb if k > 1 else None, a.p_drop)
        opt.zero_grad()
        err.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        ema_step(avg, net, step, a.ema)
        mean = err.item() if mean is None else 0.98 * mean + 0.02 * err.item()
        if (step + 1) % a.log == 0:
            print(
                f"{step + 1:7d}  loss {mean:.4f}  {(step + 1 - first) / (time.time() - t0):.2f} it/s",
                flush=True,
            )
        if (step + 1) % a.save == 0 or step + 1 == a.steps:
            state = {"net": net.state_dict(), "opt": opt.state_dict(), "ema": avg}
            torch.save({**state, "cfg": net.c, "step": step + 1}, a.out)


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("data", nargs="?")
    p.add_argument("--toy", action="store_true")
    p.add_argument("--flip", action="store_true")
    p.add_argument("--resume")
    p.add_argument("--out", default="ddpm.pt")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--mults", type=int, nargs="+", default=[1, 2, 2, 2])
    p.add_argument("--attn", type=int, nargs="*", default=[16, 8], help="resolutions that attend")
    ints = {"size": 32, "width": 128, "blocks": 2, "batch": 64, "steps": 100_000, "warmup": 1000}
    ints |= {"log": 100, "save": 5000, "seed": 0}
    for name, v in {**ints, "lr": 2e-4, "drop": 0.1, "p_drop": 0.1, "ema": 0.9995}.items():
        p.add_argument(f"--{name.replace('_', '-')}", type=type(v), default=v)
    args = p.parse_args()
    if not args.toy and not args.data:
        p.error("give a folder of images or --toy")
    main(args)
