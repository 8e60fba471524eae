"""Pre-train on flat uint16 token files: python pretrain.py data/train.bin --val data/val.bin"""
import argparse
import contextlib
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from transformer import ModelConfig, Transformer


class TokenFile:
    """Random windows out of a memory-mapped token file."""

    def __init__(self, path, context, batch_size, device):
        self.data = np.memmap(path, dtype=np.uint16, mode="r")
        if len(self.data) <= context:
            raise ValueError(f"{path} has only {len(self.data)} tokens")
        self.context, self.batch_size, self.device = context, batch_size, device

    def batch(self):
        starts = torch.randint(len(self.data) - self.context, (self.batch_size,)).tolist()
        rows = np.stack([self.data[s : s + self.context + 1] for s in starts]).astype(np.int64)
        rows = torch.from_numpy(rows).to(self.device)
        return rows[:, :-1], rows[:, 1:]


def lr_at(step, args):
    if step < args.warmup:
        return args.lr * (step + 1) / args.warmup
    done = min(1.0, (step - args.warmup) / max(1, args.steps - args.warmup))
    return args.min_lr + 0.5 * (args.lr - args.min_lr) * (1 + math.cos(math.pi * done))


def token_loss(model, x, y):
    return F.cross_entropy(model(x).flatten(0, 1), y.flatten())


@torch.no_grad()
def validate(model, source, batches, amp):
    model.eval()
    total = 0.0
    for _ in range(batches):
        x, y = source.batch()
        with amp():
            total += token_loss(model, x, y).item()
    model.train()
    return total / batches


def parse_args():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("train")
    p.add_argument("--val")
    p.add_argument("--out", type=Path, default=Path("runs/gpt"))
    p.add_argument("--resume", action="store_true")
    for name, default in asdict(ModelConfig()).items():
        p.add_argument("--" + name.replace("_", "-"), type=type(default), default=default)
    p.add_argument("--batch-size", type=int, default=12)
    p.add_argument("--accumulate", type=int, default=40)
    p.add_argument("--steps", type=int, default=100_000)
    p.add_argument("--warmup", type=int, default=1000)
    p.add_argument("--lr", type=float, default=6e-4)
    p.add_argument("--min-lr", type=float, default=6e-5)
    p.add_argument("--weight-decay", type=float, default=0.1)
    p.add_argument("--clip", type=float, default=1.0)
    p.add_argument("--eval-every", type=int, default=1000)
    p.add_argument("--eval-batches", type=int, default=100)
    p.add_argument("--log-every", type=int, default=10)
    p.add_argument("--precision", choices=["fp32", "fp16", "bf16"], default="bf16")
    p.add_argument("--seed", type=int, default=0)
    return p.parse_args()


def main():
    args = parse_args()
    torch.manual_seed(args.seed)
    torch.set_float32_matmul_precision("high")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    args.out.mkdir(parents=True, exist_ok=True)
    ckpt_path = args.out / "last.pt"

    saved = torch.load(ckpt_path, map_location=device) if args.resume else None
    shape = saved["config"] if saved else {name: getattr(args, name) for name in asdict(ModelConfig())}
    cfg = ModelConfig(**shape)
    model = Transformer(cfg).to(device)
    optimizer = torch.optim.AdamW(model.param_groups(args.weight_decay), lr=args.lr, betas=(0.9, 0.95))
    scaler = torch.cuda.amp.GradScaler(enabled=args.precision == "fp16" and device.type == "cuda")
    first_step, best = 0, float("inf")
    if saved:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        scaler.load_state_dict(saved["scaler"])
        first_step, best = saved["step"], saved["best"]
        print(f"resuming at step {first_step}")

    def amp():
        if args.precision == "fp32" or device.type == "cpu":
            return contextlib.nullcontext()
        dtype = torch.float16 if args.precision == "fp16" else torch.bfloat16
        return torch.autocast(device.type, dtype=dtype)

    def save(path, step):
        state = {"config": asdict(cfg), "step": step, "best": best, "scaler": scaler.state_dict()}
        torch.save({**state, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)

    train = TokenFile(args.train, cfg.context, args.batch_size, device)
    val = TokenFile(args.val, cfg.context, args.batch_size, device) if args.val else None
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f}M parameters on {device}")

    for step in range(first_step, args.steps):
        for group in optimizer.param_groups:
            group["lr"] = lr_at(step, args)
        running = torch.zeros((), device=device)
        for _ in range(args.accumulate):
            with amp():
                loss = token_loss(model, *train.batch()) / args.accumulate
            scaler.scale(loss).backward()
            running += loss.detach()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)

        done = step + 1
        if done % args.log_every == 0:
            print(f"step {done} | loss {running.item():.4f}")
        if done % args.eval_every == 0 or done == args.steps:
            if val is not None:
                score = validate(model, val, args.eval_batches, amp)
                print(f"step {done} | validation loss {score:.4f}")
                if score < best:
                    best = score
                    save(args.out / "best.pt", done)
            save(ckpt_path, done)


if __name__ == "__main__":
    main()
