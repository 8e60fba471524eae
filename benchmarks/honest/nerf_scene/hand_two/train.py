"""Fit a NeRF to one scene:  python train.py --scene data/lego --out runs/lego"""
import argparse
from pathlib import Path

import torch
import torch.nn.functional as F

from nerf import NeRF
from render import evaluate
from scene import Scene


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--scene", required=True)
    ap.add_argument("--out", type=Path, default=Path("runs/scene"))
    ap.add_argument("--iterations", type=int, default=200_000)
    ap.add_argument("--rays", type=int, default=1024)
    ap.add_argument("--lr", type=float, default=5e-4)
    ap.add_argument("--final-lr", type=float, default=5e-5)
    ap.add_argument("--near", type=float, default=2.0)
    ap.add_argument("--far", type=float, default=6.0)
    ap.add_argument("--downscale", type=int, default=2)
    ap.add_argument("--noise", type=float, default=0.0, help="std of the density noise")
    ap.add_argument("--val-every", type=int, default=5000)
    args = ap.parse_args()

    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    args.out.mkdir(parents=True, exist_ok=True)
    train_scene = Scene(args.scene, "train", args.downscale)
    val_scene = Scene(args.scene, "val", args.downscale, every=25)

    config = dict(near=args.near, far=args.far)
    model = NeRF(**config).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    gamma = (args.final_lr / args.lr) ** (1 / args.iterations)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma)

    first = 0
    latest = args.out / "latest.pt"
    if latest.exists():
        state = torch.load(latest, map_location=device)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        first = state["step"]
        print(f"resuming at step {first}")

    for step in range(first + 1, args.iterations + 1):
        crop = 0.5 if step <= 500 else 1.0
        origins, dirs, target = train_scene.random_batch(args.rays, device, crop)
        coarse, fine = model(origins, dirs, noise_std=args.noise)
        fine_loss = F.mse_loss(fine["rgb"], target)
        loss = fine_loss + F.mse_loss(coarse["rgb"], target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        scheduler.step()

        if step % 100 == 0:
            psnr = -10 * torch.log10(fine_loss.detach()).item()
            print(f"{step:7d}  loss {loss.item():.5f}  psnr {psnr:.2f}", flush=True)
        if step % 10_000 == 0 or step == args.iterations:
            torch.save({"step": step, "config": config, "model": model.state_dict(),
                        "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}, latest)
        if step % args.val_every == 0:
            psnr, ssim = evaluate(model, val_scene, device, args.out / f"val_{step:06d}")
            print(f"{step:7d}  validation psnr {psnr:.2f}  ssim {ssim:.4f}", flush=True)


if __name__ == "__main__":
    main()
