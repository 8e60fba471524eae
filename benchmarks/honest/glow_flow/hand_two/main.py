"""Train on, sample from, or interpolate in an .npy array of uint8 images, (N, H, W[, C])."""
import argparse
import copy
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from glow import Glow


def load_images(path):
    data = np.load(path)
    if data.ndim == 3:
        data = data[..., None]
    return torch.from_numpy(np.ascontiguousarray(data.transpose(0, 3, 1, 2)))


def save_images(path, images):
    np.save(path, images.permute(0, 2, 3, 1).cpu().numpy())


class EMA:
    def __init__(self, model, decay):
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model):
        for avg, new in zip(self.model.parameters(), model.parameters()):
            avg.lerp_(new, 1 - self.decay)


@torch.no_grad()
def evaluate(model, loader, device):
    return torch.cat([model(x.to(device)) for (x,) in loader]).mean().item()


def train(args, device):
    images = load_images(args.data)
    images = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))]
    held = max(1, len(images) // 20)
    train_loader = DataLoader(TensorDataset(images[held:]), args.batch_size, shuffle=True, drop_last=True)
    val_loader = DataLoader(TensorDataset(images[:held]), args.batch_size)

    config = dict(shape=tuple(images.shape[1:]), levels=args.levels, steps=args.steps,
                  hidden=args.hidden, lu=not args.no_lu, mode=args.mode, bits=args.bits)
    model = Glow(**config).to(device)
    with torch.no_grad():  # one pass sets the activation normalisation, before the EMA copies it
        model(next(iter(train_loader))[0].to(device))
    ema = EMA(model, args.ema)
    opt = torch.optim.Adam(model.parameters(), lr=args.lr)
    warm = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min(1.0, (s + 1) / max(1, args.warmup)))
    best = float("inf")
    for epoch in range(args.epochs):
        losses = []
        for (x,) in train_loader:
            loss = model(x.to(device)).mean()
            opt.zero_grad(set_to_none=True)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip)
            if torch.isfinite(norm):  # skip the odd exploding batch
                opt.step()
                ema.update(model)
                losses.append(loss.item())
            warm.step()
        val = evaluate(ema.model, val_loader, device)
        print(f"epoch {epoch}: train {np.mean(losses):.4f} val {val:.4f} bits/dim")
        if val < best:
            best = val
            torch.save({"config": config, "model": ema.model.state_dict()}, args.checkpoint)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("command", choices=["train", "sample", "interpolate"])
    p.add_argument("--data", type=Path, help="array of images, for train and interpolate")
    p.add_argument("--checkpoint", type=Path, default=Path("glow.pt"))
    p.add_argument("--out", type=Path, default=Path("out.npy"))
    p.add_argument("--mode", choices=["scale", "logit"], default="scale")
    p.add_argument("--no-lu", action="store_true")
    p.add_argument("--pair", type=int, nargs=2, default=[0, 1], help="images to interpolate between")
    for name, default in dict(levels=3, steps=16, hidden=256, bits=8, epochs=100, batch_size=64, lr=5e-4,
                              warmup=2000, clip=50.0, ema=0.999, count=16, temperature=0.7).items():
        p.add_argument("--" + name.replace("_", "-"), type=type(default), default=default)
    args = p.parse_args()
    if args.command != "sample" and args.data is None:
        p.error(f"{args.command} needs --data")

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if args.command == "train":
        return train(args, device)
    saved = torch.load(args.checkpoint, map_location=device)
    model = Glow(**saved["config"]).to(device).eval()
    model.load_state_dict(saved["model"])
    if args.command == "sample":
        save_images(args.out, model.sample(args.count, args.temperature))
    else:
        a, b = load_images(args.data)[args.pair].to(device)
        save_images(args.out, model.interpolate(a, b, args.count))


if __name__ == "__main__":
    main()
