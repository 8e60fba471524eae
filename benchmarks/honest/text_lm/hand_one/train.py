"""Train the language model on text files; evaluate by sliding-window perplexity."""

import argparse
import json
import math
import os
import time
from dataclasses import asdict

import numpy as np
import torch

import bpe
from lm import LMConfig, init, nll


def tokens(cd, path):
    """A text file as one array of token numbers; the file is one document."""
    with open(path, encoding="utf-8", errors="replace") as f:
        return np.array(bpe.encode(cd, f.read(), bos=True, eos=True), dtype=np.int32)


def windows(data, size, length, rng):
    """Random pieces (B, T+1) as inputs and targets shifted by one."""
    at = rng.integers(0, len(data) - length, size)
    x = torch.from_numpy(data[at[:, None] + np.arange(length + 1)].astype(np.int64))
    return x[:, :-1], x[:, 1:]


def rate(k, a):
    """Linear warm-up to a.lr, then half a cosine down to a.lr * a.floor."""
    if k < a.warmup:
        return a.lr * (k + 1) / a.warmup
    u = min((k - a.warmup) / max(a.steps - a.warmup, 1), 1.0)
    return a.lr * (a.floor + (1 - a.floor) * 0.5 * (1 + math.cos(math.pi * u)))


@torch.no_grad()
def perplexity(p, c, data, stride, device, batch=8):
    """exp of the mean nll; every token is scored once, after the first window with context - stride or more before it."""
    length = min(c.context, len(data) - 1)
    if not 0 < stride <= length:
        raise ValueError(f"stride must lie in 1..{length}")
    starts = list(range(0, len(data) - 1 - length, stride)) + [len(data) - 1 - length]
    total, count, scored = 0.0, 0, 0
    for k in range(0, len(starts), batch):
        s = np.array(starts[k : k + batch])
        x = torch.from_numpy(data[s[:, None] + np.arange(length + 1)].astype(np.int64)).to(device)
        y = x[:, 1:].clone()
        for row, b in enumerate(s):
            y[row, : max(scored - b, 0)] = -1  # target at column i is data[b + 1 + i]
            scored = b + length
        e = nll(p, c, x[:, :-1], y)
        total += float(e.sum())
        count += int((y >= 0).sum())
    return math.exp(total / count)


def optimiser(p, a):
    return torch.optim.AdamW(
        [
            {"params": [t for t in p.values() if t.ndim > 1], "weight_decay": a.decay},
            {"params": [t for t in p.values() if t.ndim == 1], "weight_decay": 0.0},
        ],
        lr=a.lr,
        betas=(0.9, 0.95),
    )


def save(path, c, p, opt, step, rng):
    state = {
        "config": asdict(c),
        "params": {n: t.detach() for n, t in p.items()},
        "opt": opt.state_dict(),
        "step": step,
        "rng": json.dumps(rng.bit_generator.state),  # holds 128-bit integers, too long for a tensor
    }
    torch.save(state, path + ".part")
    os.replace(path + ".part", path)  # a crash never leaves half a checkpoint


def restore(path, p, opt, rng):
    ck = torch.load(path, map_location="cpu", weights_only=True)
    with torch.no_grad():
        for n, t in p.items():
            t.copy_(ck["params"][n])
    opt.load_state_dict(ck["opt"])
    rng.bit_generator.state = json.loads(ck["rng"])
    return ck["step"]


def step(p, c, opt, data, a, lr, rng):
    for g in opt.param_groups:
        g["lr"] = lr
    opt.zero_grad()
    total = 0.0
    for _ in range(a.accumulate):
        x, y = (t.to(a.device) for t in windows(data, a.batch, c.context, rng))
        with torch.autocast(a.device, torch.bfloat16, enabled=a.bf16):
            loss = nll(p, c, x, y).mean() / a.accumulate
        loss.backward()
        total += loss.item()
    norm = torch.nn.utils.clip_grad_norm_(p.values(), a.clip)
    opt.step()
    return total, float(norm)


def run(a):
    cd = bpe.load(a.bpe)
    data, held = tokens(cd, a.train), tokens(cd, a.valid)
    if len(data) <= a.context + 1:
        raise SystemExit(f"{a.train} holds {len(data)} tokens, fewer than one context of {a.context}")
    c = LMConfig(cd["size"], a.width, a.layers, a.heads, a.kv_heads, a.ff, a.context)
    p = {n: t.detach().to(a.device).requires_grad_() for n, t in init(c, a.seed).items()}
    opt, rng = optimiser(p, a), np.random.default_rng(a.seed)
    first = restore(a.out, p, opt, rng) if a.resume and os.path.exists(a.out) else 0
    print(f"{sum(t.numel() for t in p.values()):,} parameters, {len(data):,} tokens, from step {first}")
    t0 = time.time()
    for k in range(first, a.steps):
        loss, norm = step(p, c, opt, data, a, rate(k, a), rng)
        if (k + 1) % a.log == 0:
            print(f"{k + 1:6d}  loss {loss:.4f}  |g| {norm:.2f}  lr {rate(k, a):.2e}  {time.time() - t0:.0f} s")
        if (k + 1) % a.every == 0 or k + 1 == a.steps:
            print(f"{k + 1:6d}  held-out perplexity {perplexity(p, c, held, a.stride, a.device):.3f}")
            save(a.out, c, p, opt, k + 1, rng)


if __name__ == "__main__":
    q = argparse.ArgumentParser(description=__doc__)
    q.add_argument("train")
    q.add_argument("valid")
    q.add_argument("--bpe", default="bpe.json")
    for name, default in dict(width=512, layers=8, heads=8, kv_heads=2, ff=1408, context=1024, stride=256).items():
        q.add_argument("--" + name.replace("_", "-"), type=int, default=default)
    for name, default in dict(batch=16, accumulate=4, steps=20000, warmup=500, log=20, every=1000, seed=0).items():
        q.add_argument("--" + name, type=int, default=default)
    for name, default in dict(lr=6e-4, floor=0.05, decay=0.1, clip=1.0).items():
        q.add_argument("--" + name, type=float, default=default)
    q.add_argument("--bf16", action="store_true")
    q.add_argument("--resume", action="store_true", help="go on from --out if it is there")
    q.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    q.add_argument("--out", default="lm.pt")
    run(q.parse_args())
