"""Evaluate a trained scene on its test views, or render a camera path.

    python render.py test --scene data/lego --checkpoint runs/lego/latest.pt
    python render.py spiral --scene data/lego --checkpoint runs/lego/latest.pt --frames 120
"""
import argparse
from pathlib import Path

import imageio.v2 as imageio
import torch
import torch.nn.functional as F

from nerf import NeRF
from scene import Scene, camera_path, image_rays


def psnr(a, b):
    return float(-10 * torch.log10(F.mse_loss(a, b).clamp_min(1e-10)))


def ssim(a, b, size=11, sigma=1.5):
    """Mean structural similarity of two H x W x 3 images in [0, 1], Gaussian window."""
    t = torch.arange(size, dtype=torch.float32) - size // 2
    g = torch.exp(-t ** 2 / (2 * sigma ** 2))
    g = g / g.sum()
    kernel = torch.outer(g, g).expand(3, 1, size, size)

    def blur(x):
        return F.conv2d(x, kernel, groups=3)

    a, b = a.permute(2, 0, 1)[None], b.permute(2, 0, 1)[None]
    mu_a, mu_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mu_a ** 2, blur(b * b) - mu_b ** 2
    cov = blur(a * b) - mu_a * mu_b
    c1, c2 = 0.01 ** 2, 0.03 ** 2
    score = (2 * mu_a * mu_b + c1) * (2 * cov + c2) / ((mu_a ** 2 + mu_b ** 2 + c1) * (var_a + var_b + c2))
    return float(score.mean())


def save_image(path, image):
    imageio.imwrite(path, (image * 255).round().byte().numpy())


def evaluate(model, scene, device, out):
    out.mkdir(parents=True, exist_ok=True)
    scores = []
    for i in range(len(scene)):
        rays = image_rays(scene.poses[i], scene.height, scene.width, scene.focal)
        image, _ = model.render_image(rays, scene.height, scene.width, device)
        save_image(out / f"{i:03d}.png", image)
        scores.append((psnr(image, scene.images[i]), ssim(image, scene.images[i])))
    return torch.tensor(scores).mean(0).tolist()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("what", choices=("test", "circle", "spiral"))
    ap.add_argument("--scene", required=True)
    ap.add_argument("--checkpoint", required=True)
    ap.add_argument("--out", type=Path, default=Path("renders"))
    ap.add_argument("--downscale", type=int, default=2)
    ap.add_argument("--frames", type=int, default=60)
    ap.add_argument("--radius", type=float, default=4.0)
    args = ap.parse_args()

    device = "cuda" if torch.cuda.is_available() else "cpu"
    state = torch.load(args.checkpoint, map_location=device)
    model = NeRF(**state["config"]).to(device)
    model.load_state_dict(state["model"])
    out = args.out / args.what

    if args.what == "test":
        mean_psnr, mean_ssim = evaluate(model, Scene(args.scene, "test", args.downscale), device, out)
        print(f"psnr {mean_psnr:.3f}  ssim {mean_ssim:.4f}")
        return

    out.mkdir(parents=True, exist_ok=True)
    view = Scene(args.scene, "test", args.downscale, every=1000)   # for the intrinsics only
    for i, pose in enumerate(camera_path(args.what, args.frames, args.radius)):
        rays = image_rays(pose, view.height, view.width, view.focal)
        image, depth = model.render_image(rays, view.height, view.width, device)
        save_image(out / f"rgb_{i:03d}.png", image)
        near, far = model.near, model.far
        save_image(out / f"depth_{i:03d}.png", ((depth - near) / (far - near)).clamp(0, 1))


if __name__ == "__main__":
    main()
