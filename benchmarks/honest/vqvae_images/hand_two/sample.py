"""Draw new images: python sample.py --out out --count 64"""
import argparse
from pathlib import Path

import torch
from torchvision.utils import save_image

from prior import CodePrior
from train import load_autoencoder


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", type=Path, default=Path("out"))
    p.add_argument("--count", type=int, default=64)
    p.add_argument("--temperature", type=float, default=1.0)
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    vqvae = load_autoencoder(args.out / "vqvae.pt", device)
    saved = torch.load(args.out / "prior.pt", map_location=device)
    prior = CodePrior(**saved["config"]).to(device)
    prior.load_state_dict(saved["state"])
    prior.eval()

    codes = prior.sample(args.count, *saved["grid"], temperature=args.temperature, device=device)
    images = vqvae.decode(codes).clamp(-1, 1) * 0.5 + 0.5
    save_image(images, args.out / "samples.png", nrow=int(args.count ** 0.5))
    print("wrote", args.out / "samples.png")


if __name__ == "__main__":
    main()
