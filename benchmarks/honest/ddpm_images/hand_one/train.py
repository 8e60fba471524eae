import argparse
import copy
import os

import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from diffusion import Diffusion
from unet import UNet


@torch.no_grad()
def update_ema(ema, model, step, decay):
    decay = min(decay, (1 + step) / (10 + step))
    for e, p in zip(ema.parameters(), model.parameters()):
        e.lerp_(p, 1 - decay)


def forever(loader):
    while True:
        for images, _ in loader:
            yield images


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", default="data")
    ap.add_argument("--out", default="ddpm.pt")
    ap.add_argument("--schedule", choices=["linear", "cosine"], default="linear")
    ap.add_argument("--timesteps", type=int, default=1000)
    ap.add_argument("--iterations", type=int, default=400_000)
    ap.add_argument("--batch-size", type=int, default=128)
    ap.add_argument("--lr", type=float, default=2e-4)
    ap.add_argument("--warmup", type=int, default=5000)
    ap.add_argument("--ema", type=float, default=0.9999)
    ap.add_argument("--save-every", type=int, default=5000)
    args = ap.parse_args()

    device = "cuda" if torch.cuda.is_available() else "cpu"
    to_tensor = transforms.Compose(
        [transforms.RandomHorizontalFlip(), transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)]
    )
    dataset = datasets.CIFAR10(args.data, train=True, download=True, transform=to_tensor)
    loader = DataLoader(dataset, args.batch_size, shuffle=True, drop_last=True, num_workers=4, pin_memory=True)

    model = UNet().to(device)
    ema = copy.deepcopy(model).eval().requires_grad_(False)
    diffusion = Diffusion(args.timesteps, args.schedule, device)
    opt = torch.optim.Adam(model.parameters(), lr=args.lr)
    warm = torch.optim.lr_scheduler.LambdaLR(opt, lambda i: min(1.0, (i + 1) / args.warmup))

    start = 0
    if os.path.exists(args.out):
        state = torch.load(args.out, map_location=device)
        for name, obj in (("model", model), ("ema", ema), ("opt", opt), ("warm", warm)):
            obj.load_state_dict(state[name])
        start = state["step"]
        print(f"continuing {args.out} from step {start}")

    average = None
    batches = forever(loader)
    for step in range(start + 1, args.iterations + 1):
        loss = diffusion.loss(model, next(batches).to(device, non_blocking=True))
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        warm.step()
        update_ema(ema, model, step, args.ema)

        average = loss.detach() if average is None else average.lerp(loss.detach(), 0.01)
        if step % 100 == 0:
            print(f"{step:7d}  loss {average.item():.5f}", flush=True)
        if step % args.save_every == 0 or step == args.iterations:
            state = {"model": model.state_dict(), "ema": ema.state_dict(), "opt": opt.state_dict()}
            state.update(warm=warm.state_dict(), step=step, schedule=args.schedule, timesteps=args.timesteps)
            torch.save(state, args.out)


if __name__ == "__main__":
    main()
