"""Command line:  main.py {train,evaluate,render} DATA OUT"""
import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from metrics import psnr, ssim
from nerf import NeRF
from scene import Scene, camera_path


def save_image(image, path):
    Image.fromarray((image.numpy() * 255 + 0.5).astype(np.uint8)).save(path)


def build(args, device):
    return NeRF(args.near, args.far, args.coarse, args.fine).to(device)


def load_weights(args, device):
    model = build(args, device)
    state = torch.load(args.out / "last.pt", map_location=device)
    model.load_state_dict(state["model"])
    return model


def evaluate_scene(model, scene, limit=None, save_to=None):
    scores = []
    for i in range(min(len(scene), limit or len(scene))):
        image = model.render_image(*scene.rays(scene.poses[i]))
        scores.append((psnr(image, scene.images[i]), ssim(image, scene.images[i])))
        if save_to is not None:
            save_image(image, save_to / f"{i:03d}.png")
    return np.mean(scores, axis=0)


def train(args, device):
    origins, directions, colours = Scene(args.data, "train", args.downscale).all_rays()
    val = Scene(args.data, "val", args.downscale)
    model = build(args, device)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    step, checkpoint = 0, args.out / "last.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
        print(f"resuming at step {step}")

    while step < args.steps:
        model.train()
        pick = torch.randint(len(colours), (args.batch,))
        target = colours[pick].to(device)
        coarse, fine, _ = model(origins[pick].to(device), directions[pick].to(device))
        fine_loss = F.mse_loss(fine, target)
        loss = fine_loss + F.mse_loss(coarse, target)

        lr = args.lr * 0.1 ** (step / args.decay_steps)
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        step += 1

        if step % 100 == 0:
            train_psnr = -10 * torch.log10(fine_loss.detach()).item()
            print(f"step {step:7d}  lr {lr:.2e}  loss {loss.item():.5f}  psnr {train_psnr:.2f}")
        if step % args.save_every == 0 or step == args.steps:
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(),
                        "step": step}, checkpoint)
            val_psnr, val_ssim = evaluate_scene(model, val, limit=2)
            print(f"  validation psnr {val_psnr:.2f}  ssim {val_ssim:.4f}")


def evaluate(args, device):
    folder = args.out / "test"
    folder.mkdir(exist_ok=True)
    scene = Scene(args.data, "test", args.downscale)
    mean = evaluate_scene(load_weights(args, device), scene, save_to=folder)
    print(f"{len(scene)} views: psnr {mean[0]:.2f}  ssim {mean[1]:.4f}")


def render(args, device):
    folder = args.out / args.path
    folder.mkdir(exist_ok=True)
    scene = Scene(args.data, "test", args.downscale)
    model = load_weights(args, device)
    for i, pose in enumerate(camera_path(args.path, args.frames, args.radius, args.elevation)):
        save_image(model.render_image(*scene.rays(pose)), folder / f"{i:04d}.png")
        print(f"frame {i + 1}/{args.frames}")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("command", choices=["train", "evaluate", "render"])
    p.add_argument("data", type=Path)
    p.add_argument("out", type=Path)
    p.add_argument("--downscale", type=int, default=2)
    p.add_argument("--near", type=float, default=2.0)
    p.add_argument("--far", type=float, default=6.0)
    p.add_argument("--coarse", type=int, default=64, help="samples per ray, coarse pass")
    p.add_argument("--fine", type=int, default=128, help="additional samples, fine pass")
    p.add_argument("--batch", type=int, default=1024, help="rays per step")
    p.add_argument("--steps", type=int, default=200_000)
    p.add_argument("--lr", type=float, default=5e-4)
    p.add_argument("--decay-steps", type=int, default=250_000, help="steps per tenfold decay")
    p.add_argument("--save-every", type=int, default=5000)
    p.add_argument("--path", choices=["circle", "spiral"], default="circle")
    p.add_argument("--frames", type=int, default=120)
    p.add_argument("--radius", type=float, default=4.0)
    p.add_argument("--elevation", type=float, default=30.0, help="degrees")
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()

    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    {"train": train, "evaluate": evaluate, "render": render}[args.command](args, device)


if __name__ == "__main__":
    main()
