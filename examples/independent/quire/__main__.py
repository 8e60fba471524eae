"""python -m quire train|eval ..."""

from __future__ import annotations

import argparse
import json
import logging
import math
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch.utils.data import DataLoader
from transformers import Dinov2Model

from quire.data import QuestionSet
from quire.settings import Settings
from quire.vlm import QuireVLM

log = logging.getLogger("quire")


def relaxed_match(said: str, accepted: list[str], tolerance: float = 0.05) -> bool:
    """Numbers may be off by five per cent, as is usual for charts; words must be the same."""
    for want in accepted:
        try:
            said_number = float(said.strip("% $").replace(" ", ""))
            want_number = float(want.strip("% $").replace(" ", ""))
        except ValueError:
            if said.casefold() == want.casefold():
                return True
        else:
            if math.isclose(said_number, want_number, rel_tol=tolerance):
                return True
    return False


def train(args: argparse.Namespace) -> None:
    settings = Settings()
    tokenizer = Tokenizer.from_file(str(args.release / "tokenizer.json"))
    model = QuireVLM(settings)
    if args.dino:
        model.eye = Dinov2Model.from_pretrained("facebook/dinov2-small")
    model.to(args.device)

    data = QuestionSet(args.csv, tokenizer, settings)
    loader = DataLoader(data, args.micro_batch, shuffle=True, num_workers=2, collate_fn=list, drop_last=True)
    total = args.epochs * len(loader) // args.accumulate
    opt = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.1, fused=args.device == "cuda")
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, args.lr, total_steps=max(total, 2), pct_start=0.05)

    seen = 0
    for epoch in range(args.epochs):
        start, sum_loss = time.perf_counter(), 0.0
        # the eye thaws after the first epoch
        model.eye.requires_grad_(epoch > 0)
        for samples in loader:
            with torch.autocast(args.device, torch.bfloat16):
                loss = model.loss(samples)
            (loss / args.accumulate).backward()
            sum_loss += float(loss)
            seen += 1
            if seen % args.accumulate == 0:
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                opt.step()
                opt.zero_grad()
                if schedule.last_epoch < total:
                    schedule.step()
        seconds = time.perf_counter() - start
        log.info("epoch %d: mean loss %.3f in %.0f s", epoch, sum_loss / max(len(loader), 1), seconds)
        model.save(args.out / f"epoch{epoch:02d}")


def evaluate(args: argparse.Namespace) -> None:
    model = QuireVLM.load(args.release).to(args.device)
    tokenizer = Tokenizer.from_file(str(args.release / "tokenizer.json"))
    data = QuestionSet(args.csv, tokenizer, model.settings)
    eos = tokenizer.token_to_id("[SEP]")
    hits = 0
    with args.out.open("w", encoding="utf-8") as f:
        for i in range(len(data)):
            said = tokenizer.decode(model.generate(data[i], eos)).strip()
            hits += relaxed_match(said, list(data.accepted(i)))
            f.write(json.dumps({"question": data.rows[i]["question"], "answer": said}) + "\n")
    log.info("relaxed accuracy %.1f %%", 100 * hits / max(len(data), 1))


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    cli = argparse.ArgumentParser(prog="quire")
    commands = cli.add_subparsers(required=True)
    for name, action in {"train": train, "eval": evaluate}.items():
        command = commands.add_parser(name)
        command.set_defaults(action=action)
        command.add_argument("csv", type=Path)
        command.add_argument("--out", "-o", type=Path, required=True)
        command.add_argument("--release", type=Path, default=Path("release"))
        command.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
        if action is train:
            command.add_argument("--dino", action="store_true", help="start from DINOv2-small")
            command.add_argument("--epochs", type=int, default=8)
            command.add_argument("--micro-batch", type=int, default=4)
            command.add_argument("--accumulate", type=int, default=16)
            command.add_argument("--lr", type=float, default=5e-4)
    args = cli.parse_args()
    args.action(args)


if __name__ == "__main__":
    main()
