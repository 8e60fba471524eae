import argparse

import torch
from torchvision.utils import save_image

from diffusion import Diffusion
from unet import UNet

ap = argparse.ArgumentParser()
ap.add_argument("checkpoint")
ap.add_argument("--out", default="grid.png")
ap.add_argument("--rows", type=int, default=8)
ap.add_argument("--cols", type=int, default=8)
ap.add_argument("--sampler", choices=["ancestral", "ddim"], default="ddim")
ap.add_argument("--steps", type=int, default=50, help="DDIM steps")
ap.add_argument("--eta", type=float, default=0.0, help="DDIM stochasticity")
ap.add_argument("--seed", type=int, default=0)


def main():
    args = ap.parse_args()
    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    state = torch.load(args.checkpoint, map_location=device)
    model = UNet().to(device).eval()
    model.load_state_dict(state["ema"])
    diffusion = Diffusion(state["timesteps"], state["schedule"], device)
    shape = (args.rows * args.cols, 3, 32, 32)
    if args.sampler == "ddim":
        images = diffusion.ddim(model, shape, args.steps, args.eta)
    else:
        images = diffusion.ancestral(model, shape)
    save_image(images, args.out, nrow=args.cols, normalize=True, value_range=(-1, 1))


if __name__ == "__main__":
    main()
