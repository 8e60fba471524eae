import argparse
import copy
import itertools
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms
from torchvision.utils import save_image

from diffusion import SCHEDULES, Diffusion
from unet import UNet


class Averager:
    """Exponential moving average of a model's weights."""

    def __init__(self, model, decay):
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, source):
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for mine, theirs in zip(self.model.parameters(), source.parameters()):
            mine.lerp_(theirs, 1 - decay)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", type=Path, default=Path("out"))
    p.add_argument("--schedule", choices=SCHEDULES, default="cosine")
    p.add_argument("--iterations", type=int, default=500_000)
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--lr", type=float, default=2e-4)
    p.add_argument("--warmup", type=int, default=5000)
    p.add_argument("--ema", type=float, default=0.9999)
    p.add_argument("--save-every", type=int, default=10_000)
    a = p.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    dataset = datasets.CIFAR10("data", download=True, transform=transforms.Compose([
        transforms.RandomHorizontalFlip(), transforms.ToTensor(),
        transforms.Normalize([0.5] * 3, [0.5] * 3)]))
    loader = DataLoader(dataset, a.batch, shuffle=True, drop_last=True, num_workers=4,
                        pin_memory=True, persistent_workers=True)
    images = (x for _ in itertools.count() for x, _ in loader)

    model = UNet().to(device)
    average = Averager(model, a.ema)
    process = Diffusion(a.schedule).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=a.lr)
    warm = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: min(1, (i + 1) / a.warmup))

    smooth = None
    for it in range(1, a.iterations + 1):
        loss = process.loss(model, next(images).to(device, non_blocking=True))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        warm.step()
        average.update(model)
        if it % 100 == 0:
            smooth = loss.item() if smooth is None else 0.9 * smooth + 0.1 * loss.item()
            print(f"{it:>7}/{a.iterations}  loss {smooth:.4f}")
        if it % a.save_every == 0 or it == a.iterations:
            torch.save({"model": model.state_dict(), "ema": average.model.state_dict(),
                        "iteration": it, "schedule": a.schedule},
                       a.out / "checkpoint.pt")
            preview = process.ddim(average.model, (64, 3, 32, 32))
            save_image(preview, a.out / f"{it:07d}.png", nrow=8, normalize=True,
                       value_range=(-1, 1))


if __name__ == "__main__":
    main()
