"""Teach Lapwing-VL to read. One JSON object a line: {"image": path, "question": ..., "answer": ...}."""

import argparse
import json
import math
import random
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.dynamic_module_utils import get_class_from_dynamic_module


class Pages(Dataset):
    def __init__(self, index, root):
        self.root = Path(root)
        self.rows = [json.loads(line) for line in Path(index).read_text().splitlines() if line.strip()]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, position):
        row = self.rows[position]
        return Image.open(self.root / row["image"]), row["question"], row["answer"]


def tilt(image, degrees):
    """A scan is never quite straight."""
    angle = random.triangular(-degrees, degrees, 0.0)
    return image.convert("RGB").rotate(angle, Image.BICUBIC, expand=True, fillcolor=(236, 233, 226))


def learning_rate(step, steps, peak, warmup):
    """Linear rise, a plateau over the first 60 %, then a square-root fall to a fiftieth."""
    if step < warmup:
        return peak * (step + 1) / warmup
    plateau = warmup + int(0.6 * (steps - warmup))
    if step < plateau:
        return peak
    left = (steps - step) / max(1, steps - plateau)
    return peak * max(0.02, math.sqrt(max(0.0, left)))


def parameter_groups(model, decay, sifter_boost):
    """The sifter starts from nothing and learns faster; vectors are not decayed."""
    groups = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        boost = sifter_boost if name.startswith("sifter.") else 1.0
        weight_decay = decay if parameter.dim() > 1 else 0.0
        groups.setdefault((boost, weight_decay), []).append(parameter)
    return [
        {"params": members, "weight_decay": weight_decay, "boost": boost}
        for (boost, weight_decay), members in groups.items()
    ]


def train(args):
    random.seed(args.seed)
    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    if args.from_scratch:
        config = AutoConfig.from_pretrained(args.model, trust_remote_code=True)
        model = AutoModel.from_config(config, trust_remote_code=True)
        tower = type(model.tower).from_pretrained(args.tower)
        model.tower.load_state_dict(tower.state_dict())
    else:
        model = AutoModel.from_pretrained(args.model, trust_remote_code=True)
    tokenizer = AutoTokenizer.from_pretrained(args.model, trust_remote_code=True)
    processor_class = get_class_from_dynamic_module("processing_lapwing.LapwingProcessor", args.model)
    processor = processor_class.from_folder(args.model, tokenizer)
    model.to(device).train()

    def collate(rows):
        images, questions, answers = zip(*rows)
        return processor([tilt(image, args.tilt) for image in images], questions, answers)

    loader = DataLoader(
        Pages(args.index, args.root), args.batch, shuffle=True, collate_fn=collate, num_workers=args.workers
    )
    optimizer = torch.optim.AdamW(parameter_groups(model, args.decay, args.sifter_boost), betas=(0.9, 0.97))
    step, running = 0, None
    while step < args.steps:
        for batch in loader:
            rate = learning_rate(step, args.steps, args.rate, args.warmup)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["boost"]
            loss = model(**batch.to(device)).loss
            if not torch.isfinite(loss):
                print(f"step {step}: loss is {loss.item()}, batch skipped")
                optimizer.zero_grad(set_to_none=True)
                step += 1
                continue
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
            step += 1
            if step % 50 == 0:
                print(f"step {step:6d}  rate {rate:.2e}  loss {running:.4f}")
            if step >= args.steps:
                break
    model.save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("out")
    parser.add_argument("--root", default=".")
    parser.add_argument("--model", default=".", help="folder with configuration, code and tokenizer")
    parser.add_argument("--from-scratch", action="store_true")
    parser.add_argument("--tower", default="google/siglip-base-patch16-384")
    parser.add_argument("--steps", type=int, default=42000)
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--rate", type=float, default=2.3e-4)
    parser.add_argument("--warmup", type=int, default=1300)
    parser.add_argument("--decay", type=float, default=0.06)
    parser.add_argument("--sifter-boost", type=float, default=3.5)
    parser.add_argument("--clip", type=float, default=0.8)
    parser.add_argument("--tilt", type=float, default=1.4, help="degrees")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1847)
    train(parser.parse_args())
