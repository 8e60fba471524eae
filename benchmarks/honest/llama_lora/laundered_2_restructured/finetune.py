"""python finetune.py --train-file train.jsonl --checkpoint base.pt"""
from math import ceil, cos, pi

import torch
from torch.nn.functional import cross_entropy
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from corpus import UNSCORED, ByteCodec, make_loader
from decoder import open_decoder
from delta import DeltaManager
from settings import finetune_options


class WarmCosine:
    def __init__(self, total, warm, lowest=0.1):
        self.total, self.warm, self.lowest = total, warm, lowest

    def __call__(self, step):
        if step >= self.warm:
            done = (step - self.warm) / max(1, self.total - self.warm)
            wave = (1 + cos(pi * min(done, 1.0))) / 2
            return self.lowest + wave * (1 - self.lowest)
        return (step + 1) / self.warm


def chunks(loader, size):
    """Lists of size micro-batches; the last list of an epoch may be shorter."""
    held = []
    for batch in loader:
        held.append(batch)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held


class Finetuner:
    def __init__(self, opt):
        torch.manual_seed(opt.seed)
        self.opt = opt
        self.device = "cpu"
        self.precision = torch.bfloat16
        self.mixed = torch.cuda.is_available()
        if self.mixed:
            self.device = "cuda"
            if not torch.cuda.is_bf16_supported():
                self.precision = torch.float16

        codec = ByteCodec()
        self.decoder = open_decoder(codec, opt.checkpoint)
        self.deltas = DeltaManager(self.decoder)
        self.deltas.attach(opt.layers, r=opt.r, scaling=opt.scaling, drop=opt.drop)
        self.decoder.train()
        self.decoder.to(self.device)
        self.weights = self.deltas.trainable()

        self.loader = make_loader(opt.train_file, codec, opt.crop, opt.micro_batch)
        self.total = ceil(len(self.loader) / opt.grad_steps) * opt.passes
        warm = max(int(self.total * opt.warmup_share), 1)
        self.optimizer = AdamW(self.weights, weight_decay=opt.decay, lr=opt.peak_lr)
        self.schedule = LambdaLR(self.optimizer, WarmCosine(self.total, warm))
        self.scaler = torch.cuda.amp.GradScaler(enabled=self.precision is torch.float16)
        self.step = 0

    def micro_loss(self, batch, divisor):
        with torch.autocast(self.device, enabled=self.mixed, dtype=self.precision):
            scores = self.decoder(batch["tokens"], keep=batch["keep"])
        scores = scores[:, :-1].float().transpose(1, 2)
        total = cross_entropy(scores, batch["targets"][:, 1:], reduction="sum",
                              ignore_index=UNSCORED)
        return total / divisor

    def update(self, group):
        group = [{key: t.to(self.device) for key, t in batch.items()} for batch in group]
        # one divisor for the whole group, so that long answers weigh as they should
        divisor = 0
        for batch in group:
            divisor = divisor + batch["targets"][:, 1:].ne(UNSCORED).sum()
        shown = 0.0
        for batch in group:
            loss = self.micro_loss(batch, divisor)
            self.scaler.scale(loss).backward()
            shown += float(loss.detach())
        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.weights, max_norm=self.opt.max_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return shown, norm

    def run(self):
        count = sum(map(torch.numel, self.weights))
        print(f"training {count:,} weights")
        for turn in range(self.opt.passes):
            for group in chunks(self.loader, self.opt.grad_steps):
                shown, norm = self.update(group)
                if self.step % self.opt.print_every:
                    continue
                print(f"pass {turn}, step {self.step} of {self.total}: "
                      f"loss {shown:.4f}, norm {norm:.2f}")
            self.deltas.save(self.opt.save_to)


if __name__ == "__main__":
    Finetuner(finetune_options()).run()
