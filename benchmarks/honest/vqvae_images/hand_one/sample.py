import argparse
from pathlib import Path

import torch
from torchvision.utils import save_image

from prior import CodePrior
from train import load
from vqvae import VQVAE

if __name__ == "__main__":
    p = argparse.ArgumentParser(description="Draw images from a trained prior")
    p.add_argument("--run", type=Path, default=Path("runs"))
    p.add_argument("--count", type=int, default=16)
    p.add_argument("--temperature", type=float, default=1.0)
    p.add_argument("--top-k", type=int, default=0)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--output", default="samples.png")
    args = p.parse_args()

    torch.manual_seed(args.seed)
    vqvae, prior = load(VQVAE, args.run / "vqvae.pt"), load(CodePrior, args.run / "prior.pt")
    index = prior.sample(args.count, args.temperature, args.top_k)
    save_image(vqvae.decode(index) / 2 + 0.5, args.output, nrow=int(args.count ** 0.5))
