"""Train on a uint8 array of images: python train.py images.npy (N, H, W, C)."""
import argparse
import copy

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset, random_split

from flow import Glow


class Ema:
    def __init__(self, model, decay):
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model, step):
        decay = min(self.decay, (1 + step) / (10 + step))
        for mine, theirs in zip(self.model.parameters(), model.parameters()):
            mine.lerp_(theirs, 1 - decay)


def load_images(path):
    images = torch.from_numpy(np.load(path))
    if images.dtype != torch.uint8 or images.dim() != 4:
        raise ValueError("expected a uint8 array of shape (N, H, W, C)")
    return images.permute(0, 3, 1, 2).contiguous()


@torch.no_grad()
def evaluate(model, loader, device):
    scores = [model(x.to(device)) for (x,) in loader]
    return torch.cat(scores).mean().item()


def train(args):
    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    images = load_images(args.images)
    held = max(1, len(images) // 20)
    train_set, val_set = random_split(TensorDataset(images), [len(images) - held, held])
    train_loader = DataLoader(train_set, args.batch_size, shuffle=True, drop_last=True)
    val_loader = DataLoader(val_set, args.batch_size)

    config = dict(shape=tuple(images.shape[1:]), levels=args.levels, steps=args.steps,
                  hidden=args.hidden, lu=not args.full_matrix, bits=args.bits, logit=args.logit)
    model = Glow(**config).to(device)
    with torch.no_grad():  # one pass sets every ActNorm from data, before the EMA copy is taken
        model.train()(next(iter(train_loader))[0].to(device))
    ema = Ema(model, args.ema)
    opt = torch.optim.Adam(model.parameters(), lr=args.lr)
    sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min(1.0, (s + 1) / args.warmup))

    step = 0
    for epoch in range(args.epochs):
        model.train()
        for (x,) in train_loader:
            loss = model(x.to(device)).mean()
            opt.zero_grad(set_to_none=True)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip)
            if torch.isfinite(norm):
                opt.step()
                ema.update(model, step)
            sched.step()
            step += 1
            if step % 100 == 0:
                print(f"step {step} bits/dim {loss.item():.4f} grad {norm:.2f}")
        print(f"epoch {epoch} validation bits/dim {evaluate(ema.model, val_loader, device):.4f}")
        torch.save({"config": config, "model": ema.model.state_dict()}, args.out)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("images")
    p.add_argument("--out", default="glow.pt")
    p.add_argument("--logit", action="store_true")
    p.add_argument("--full-matrix", action="store_true", help="1x1 convolutions without LU")
    for name, default in dict(levels=3, steps=16, hidden=256, bits=8, batch_size=64, epochs=50,
                              lr=5e-4, warmup=1000, clip=50.0, ema=0.999, seed=0).items():
        p.add_argument("--" + name.replace("_", "-"), type=type(default), default=default)
    train(p.parse_args())
