"""Draw a grid of images: python sample_grid.py out/checkpoint.pt --method ddim --steps 100"""
import argparse

import torch
from torchvision.utils import save_image

from diffusion import Diffusion
from unet import UNet

p = argparse.ArgumentParser()
p.add_argument("checkpoint")
p.add_argument("--output", default="grid.png")
p.add_argument("--rows", type=int, default=8)
p.add_argument("--columns", type=int, default=8)
p.add_argument("--method", choices=["ancestral", "ddim"], default="ancestral")
p.add_argument("--steps", type=int, default=50, help="DDIM steps")
p.add_argument("--eta", type=float, default=0.0, help="DDIM noise; 1 is close to ancestral")
a = p.parse_args()

device = "cuda" if torch.cuda.is_available() else "cpu"
state = torch.load(a.checkpoint, map_location=device)
model = UNet().to(device).eval()
model.load_state_dict(state["ema"])
process = Diffusion(state["schedule"]).to(device)

shape = (a.rows * a.columns, 3, 32, 32)
if a.method == "ddim":
    x = process.ddim(model, shape, a.steps, a.eta)
else:
    x = process.ancestral(model, shape)
save_image(x, a.output, nrow=a.columns, normalize=True, value_range=(-1, 1))
print("wrote", a.output)
