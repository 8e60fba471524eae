"""Fine-tune LoRA adapters: python train.py --data train.jsonl --base base.pt"""
import argparse
import math

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

from data import IGNORE, ByteTokenizer, InstructionDataset, make_collator
from lora import inject, save_adapter
from model import Llama, LlamaConfig


def lr_factor(step, warmup, total, floor=0.1):
    if step < warmup:
        return (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, total - warmup))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


def train(args):
    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tok = ByteTokenizer()
    model = Llama(LlamaConfig(vocab_size=tok.vocab_size))
    if args.base:
        model.load_state_dict(torch.load(args.base, map_location="cpu"))
    inject(model, args.targets, args.rank, args.alpha, args.dropout)
    model.to(device).train()
    params = [p for p in model.parameters() if p.requires_grad]
    print(f"{sum(p.numel() for p in params):,} trainable parameters")

    loader = DataLoader(InstructionDataset(args.data, tok, args.max_len), args.batch_size,
                        shuffle=True, collate_fn=make_collator(tok.pad_id))
    total = args.epochs * math.ceil(len(loader) / args.accum)
    warmup = max(1, int(args.warmup * total))
    opt = torch.optim.AdamW(params, lr=args.lr, weight_decay=args.weight_decay)
    sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: lr_factor(s, warmup, total))
    half = device == "cuda"
    dtype = torch.float16 if half and not torch.cuda.is_bf16_supported() else torch.bfloat16
    scaler = torch.cuda.amp.GradScaler(enabled=dtype == torch.float16)

    step = 0
    for epoch in range(args.epochs):
        window = []
        for i, batch in enumerate(loader):
            window.append([t.to(device) for t in batch])
            if len(window) < args.accum and i + 1 < len(loader):
                continue
            # normalise by the answer tokens of the whole window, not per micro-batch
            tokens = sum((labels[:, 1:] != IGNORE).sum() for _, labels, _ in window)
            running = 0.0
            for ids, labels, real in window:
                with torch.autocast(device, dtype=dtype, enabled=half):
                    logits = model(ids, real)[:, :-1]
                loss = F.cross_entropy(logits.flatten(0, 1).float(), labels[:, 1:].flatten(),
                                       ignore_index=IGNORE, reduction="sum") / tokens
                scaler.scale(loss).backward()
                running += loss.item()
            scaler.unscale_(opt)
            norm = torch.nn.utils.clip_grad_norm_(params, args.clip)
            scaler.step(opt)
            scaler.update()
            opt.zero_grad(set_to_none=True)
            sched.step()
            window, step = [], step + 1
            if step % args.log_every == 0:
                print(f"epoch {epoch} step {step}/{total} loss {running:.4f} grad {norm:.2f}")
        save_adapter(model, args.out)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--data", required=True)
    p.add_argument("--base")
    p.add_argument("--out", default="adapter.pt")
    p.add_argument("--targets", nargs="+", default=["q_proj", "k_proj", "v_proj", "o_proj"])
    for name, default in dict(rank=8, alpha=16.0, dropout=0.05, epochs=3, batch_size=4, accum=8,
                              max_len=512, lr=2e-4, weight_decay=0.0, warmup=0.03, clip=1.0,
                              log_every=10, seed=0).items():
        p.add_argument("--" + name.replace("_", "-"), type=type(default), default=default)
    train(p.parse_args())
