"""Pre-train on flat uint16 token files: python pretrain.py --train train.bin --valid valid.bin"""
import argparse
import contextlib
import math
import os
from dataclasses import asdict

import numpy as np
import torch

from transformer import LanguageModel, ModelArgs


class TokenFile:
    def __init__(self, path, context, device, seed=0):
        self.data = np.memmap(path, dtype=np.uint16, mode="r")
        self.context = context
        self.device = device
        self.rng = np.random.default_rng(seed)

    def batch(self, n):
        starts = self.rng.integers(0, len(self.data) - self.context, size=n)
        rows = np.stack([self.data[s:s + self.context + 1] for s in starts]).astype(np.int64)
        rows = torch.from_numpy(rows).to(self.device)
        return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


def learning_rate(step, opt):
    if step < opt.warmup:
        return opt.lr * (step + 1) / opt.warmup
    done = min(1.0, (step - opt.warmup) / max(1, opt.steps - opt.warmup))
    return opt.lr * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))


def make_optimizer(model, opt, device):
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": opt.weight_decay},
              {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=opt.lr, betas=(0.9, 0.95), fused=device.type == "cuda")


@torch.no_grad()
def validate(model, source, opt, autocast):
    model.eval()
    total = 0.0
    for _ in range(opt.eval_batches):
        x, y = source.batch(opt.batch_size)
        with autocast():
            total += model(x, y).item()
    model.train()
    return total / opt.eval_batches


def save(path, model, optimizer, scaler, step):
    state = {"args": asdict(model.args), "model": model.state_dict(),
             "optimizer": optimizer.state_dict(), "scaler": scaler.state_dict(),
             "step": step}
    torch.save(state, path + ".part")
    os.replace(path + ".part", path)  # never leave a half-written checkpoint behind


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--train", required=True)
    p.add_argument("--valid", required=True)
    p.add_argument("--out", default="runs/gpt")
    p.add_argument("--resume", action="store_true")
    for field, value in asdict(ModelArgs()).items():
        if not isinstance(value, bool):
            p.add_argument(f"--{field}", type=type(value), default=value)
    p.add_argument("--batch-size", type=int, default=12)
    p.add_argument("--accumulate", type=int, default=40)
    p.add_argument("--steps", type=int, default=100_000)
    p.add_argument("--warmup", type=int, default=1000)
    p.add_argument("--lr", type=float, default=6e-4)
    p.add_argument("--weight-decay", type=float, default=0.1)
    p.add_argument("--clip", type=float, default=1.0)
    p.add_argument("--precision", choices=["fp32", "fp16", "bf16"], default="bf16")
    p.add_argument("--eval-every", type=int, default=500)
    p.add_argument("--eval-batches", type=int, default=100)
    p.add_argument("--seed", type=int, default=1)
    return p.parse_args()


def main():
    opt = parse()
    os.makedirs(opt.out, exist_ok=True)
    torch.manual_seed(opt.seed)
    torch.set_float32_matmul_precision("high")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    latest = os.path.join(opt.out, "latest.pt")

    ckpt = torch.load(latest, map_location=device) if opt.resume else None
    if ckpt:
        args = ModelArgs(**ckpt["args"])
    else:
        args = ModelArgs(opt.vocab, opt.context, opt.layers, opt.heads, opt.width, opt.dropout)
    model = LanguageModel(args).to(device)
    optimizer = make_optimizer(model, opt, device)
    scaler = torch.cuda.amp.GradScaler(enabled=opt.precision == "fp16" and device.type == "cuda")
    first = 0
    if ckpt:
        model.load_state_dict(ckpt["model"])
        optimizer.load_state_dict(ckpt["optimizer"])
        scaler.load_state_dict(ckpt["scaler"])
        first = ckpt["step"]
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f}M parameters, from step {first}")

    def autocast():
        if opt.precision == "fp32":
            return contextlib.nullcontext()
        dtype = torch.float16 if opt.precision == "fp16" else torch.bfloat16
        return torch.autocast(device.type, dtype=dtype)

    # The seed moves with the step so that a resumed run does not replay its first batches.
    train = TokenFile(opt.train, args.context, device, opt.seed + first)
    for step in range(first, opt.steps):
        rate = learning_rate(step, opt)
        for group in optimizer.param_groups:
            group["lr"] = rate
        running = torch.zeros((), device=device)
        for _ in range(opt.accumulate):
            x, y = train.batch(opt.batch_size)
            with autocast():
                loss = model(x, y) / opt.accumulate
            scaler.scale(loss).backward()
            running += loss.detach()
        scaler.unscale_(optimizer)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), opt.clip)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)

        if (step + 1) % 10 == 0:
            print(f"step {step + 1}  loss {running.item():.4f}  norm {norm:.2f}  lr {rate:.2e}")
        if (step + 1) % opt.eval_every == 0 or step + 1 == opt.steps:
            valid = TokenFile(opt.valid, args.context, device)  # same batches every time
            score = validate(model, valid, opt, autocast)
            print(f"step {step + 1}  validation {score:.4f}  perplexity {math.exp(score):.2f}")
            save(latest, model, optimizer, scaler, step + 1)


if __name__ == "__main__":
    main()
