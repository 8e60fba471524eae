import argparse
import json
import math
import os

import torch
from PIL import Image
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerFast, SiglipVisionModel

from skylark.config import SkylarkConfig
from skylark.modeling_skylark import SkylarkForConditionalGeneration
from skylark.processor import load_settings, prepare


def get_args():
    p = argparse.ArgumentParser("Skylark fine-tuning")
    p.add_argument("--data", required=True)
    p.add_argument("--image_dir", default=".")
    p.add_argument("--output_dir", default="output")
    p.add_argument("--model_path", default="skylark")
    p.add_argument("--init_vision", action="store_true")
    p.add_argument("--vision_encoder", default="google/siglip-base-patch16-384")
    p.add_argument("--max_steps", type=int, default=42000)
    p.add_argument("--batch_size", type=int, default=6)
    p.add_argument("--lr", type=float, default=2.3e-4)
    p.add_argument("--warmup_steps", type=int, default=1300)
    p.add_argument("--weight_decay", type=float, default=0.06)
    p.add_argument("--connector_lr_mult", type=float, default=3.5)
    p.add_argument("--max_grad_norm", type=float, default=0.8)
    p.add_argument("--num_workers", type=int, default=4)
    p.add_argument("--seed", type=int, default=1847)
    return p.parse_args()


def get_lr(it, args):
    if it < args.warmup_steps:
        return args.lr * (it + 1) / args.warmup_steps
    hold = args.warmup_steps + int(0.6 * (args.max_steps - args.warmup_steps))
    return args.lr if it < hold else args.lr * max(
        0.02, math.sqrt(max(0.0, (args.max_steps - it) / max(1, args.max_steps - hold))))


def get_optimizer(model, args):
    buckets = {}
    for n, p in model.named_parameters():
        if p.requires_grad:
            key = (args.connector_lr_mult if n.startswith("connector.") else 1.0,
                   args.weight_decay if p.ndim > 1 else 0.0)
            buckets[key] = buckets.get(key, []) + [p]
    return torch.optim.AdamW([{"params": ps, "weight_decay": wd, "mult": mult} for (mult, wd), ps in buckets.items()],
                             betas=(0.9, 0.97))


if __name__ == "__main__":
    args = get_args()
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(args.model_path)
    settings = load_settings(args.model_path)
    if args.init_vision:
        model = SkylarkForConditionalGeneration(SkylarkConfig.from_pretrained(args.model_path))
        model.vision_encoder.load_state_dict(SiglipVisionModel.from_pretrained(args.vision_encoder).state_dict())
    else:
        model = SkylarkForConditionalGeneration.from_pretrained(args.model_path)
    model = model.to(device).train()

    with open(args.data) as f:
        samples = [json.loads(l) for l in f if l.strip()]

    def collate_fn(items):
        images = [Image.open(os.path.join(args.image_dir, x["image"])) for x in items]
        return prepare(tokenizer, settings, images, [x["question"] for x in items], [x["answer"] for x in items])

    loader = DataLoader(samples, batch_size=args.batch_size, shuffle=True, collate_fn=collate_fn,
                        num_workers=args.num_workers)
    optimizer = get_optimizer(model, args)
    it, avg = 0, None
    while it < args.max_steps:
        for inputs in loader:
            lr = get_lr(it, args)
            for g in optimizer.param_groups:
                g["lr"] = lr * g["mult"]
            loss = model(**inputs.to(device)).loss
            it += 1
            if not torch.isfinite(loss):
                print(f"step {it - 1}: loss is {loss.item()}, batch skipped")
                optimizer.zero_grad(set_to_none=True)
                continue
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), args.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            avg = loss.item() if avg is None else 0.98 * avg + 0.02 * loss.item()
            if it % 50 == 0:
                print(f"[{it}/{args.max_steps}] lr={lr:.2e} loss={avg:.4f}")
            if it >= args.max_steps:
                break
    model.save_pretrained(args.output_dir)
    tokenizer.save_pretrained(args.output_dir)
