"""Fine-tune LoRA adapters (`train`) or answer an instruction with them (`generate`)."""
import argparse
import math

import torch
from torch.utils.data import DataLoader

from data import ByteTokenizer, InstructionDataset, PadCollator, build_prompt
from lora import DEFAULT_TARGETS, inject_lora, load_adapter, save_adapter, set_merged
from model import Llama, LlamaConfig


def cosine_lr(step, total, warmup, peak, floor=0.1):
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, total - warmup))
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress)))


def train(model, loader, args, device):
    params = [p for p in model.parameters() if p.requires_grad]
    opt = torch.optim.AdamW(params, lr=args.lr, betas=(0.9, 0.95), weight_decay=args.weight_decay)
    total = math.ceil(len(loader) / args.accum) * args.epochs
    warmup = max(1, int(0.03 * total))
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(args.precision, torch.float32)
    mixed = device == "cuda" and dtype is not torch.float32
    scaler = torch.cuda.amp.GradScaler(enabled=mixed and dtype is torch.float16)
    step, running = 0, 0.0
    model.train()
    for epoch in range(args.epochs):
        for i, batch in enumerate(loader):
            batch = {k: v.to(device) for k, v in batch.items()}
            # the last group of an epoch may be short
            group = min(args.accum, len(loader) - i // args.accum * args.accum)
            with torch.autocast(device, dtype=dtype if mixed else torch.bfloat16, enabled=mixed):
                _, loss = model(**batch)
            scaler.scale(loss / group).backward()
            running += loss.item() / group
            if (i + 1) % args.accum and i + 1 < len(loader):
                continue
            lr = cosine_lr(step, total, warmup, args.lr)
            for g in opt.param_groups:
                g["lr"] = lr
            scaler.unscale_(opt)
            norm = torch.nn.utils.clip_grad_norm_(params, args.clip)
            scaler.step(opt)
            scaler.update()
            opt.zero_grad(set_to_none=True)
            step += 1
            print(f"epoch {epoch} step {step}/{total} loss {running:.4f} lr {lr:.2e} norm {norm:.2f}")
            running = 0.0
        save_adapter(model, args.adapter)


def pick_token(logits, seen, temperature, top_p, penalty):
    # repetition penalty: push the logits of tokens already present towards "unlikely"
    scores = logits.gather(1, seen)
    logits = logits.scatter(1, seen, torch.where(scores > 0, scores / penalty, scores * penalty))
    if temperature <= 0:
        return logits.argmax(dim=-1, keepdim=True)
    ordered, index = torch.softmax(logits / temperature, dim=-1).sort(dim=-1, descending=True)
    before = ordered.cumsum(dim=-1) - ordered
    ordered = ordered.masked_fill(before > top_p, 0.0)  # the top token always stays
    return index.gather(1, torch.multinomial(ordered, 1))


@torch.inference_mode()
def generate(model, prompt_ids, eos_id, max_new=200, temperature=0.8, top_p=0.95, penalty=1.1):
    model.eval()
    feed = tokens = torch.tensor([prompt_ids], device=model.embed.weight.device)
    limit = min(model.cfg.max_seq_len, len(prompt_ids) + max_new)
    cache = model.new_cache()
    while tokens.size(1) < limit:
        logits, _ = model(feed, cache=cache)
        feed = pick_token(logits[:, -1].float(), tokens, temperature, top_p, penalty)
        if feed.item() == eos_id:
            break
        tokens = torch.cat([tokens, feed], dim=1)
    return tokens[0, len(prompt_ids):].tolist()


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("command", choices=["train", "generate"])
    p.add_argument("subject", help="JSON-lines file to train on, or the instruction to answer")
    p.add_argument("--input", default="")
    p.add_argument("--base", help="state dict of the base model")
    p.add_argument("--adapter", default="adapter")
    p.add_argument("--targets", nargs="+", default=DEFAULT_TARGETS)
    p.add_argument("--precision", choices=["fp32", "fp16", "bf16"], default="bf16")
    for name, default in dict(rank=8, alpha=16.0, dropout=0.05, epochs=3, batch_size=4, accum=8,
                              lr=2e-4, weight_decay=0.0, clip=1.0, max_len=512, max_new=200,
                              temperature=0.8, top_p=0.95, penalty=1.1).items():
        p.add_argument("--" + name.replace("_", "-"), type=type(default), default=default)
    args = p.parse_args()

    device = "cuda" if torch.cuda.is_available() else "cpu"
    tok = ByteTokenizer()
    model = Llama(LlamaConfig(vocab_size=tok.vocab_size))
    if args.base:
        model.load_state_dict(torch.load(args.base, map_location="cpu"))
    if args.command == "train":
        inject_lora(model, args.targets, args.rank, args.alpha, args.dropout)
        loader = DataLoader(InstructionDataset(args.subject, tok, args.max_len), shuffle=True,
                            batch_size=args.batch_size, collate_fn=PadCollator(tok.pad_id))
        train(model.to(device), loader, args, device)
    else:
        load_adapter(model, args.adapter)
        set_merged(model, True)
        ids = [tok.bos_id] + tok.encode(build_prompt(args.subject, args.input))
        print(tok.decode(generate(model.to(device), ids, tok.eos_id, args.max_new,
                                  args.temperature, args.top_p, args.penalty)))


if __name__ == "__main__":
    main()
