import argparse

import torch
from torchvision.utils import save_image

from network import DenoiseNet
from process import GaussianProcess
from utils import get_device


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--ckpt', default='model.pt')
    parser.add_argument('--output', default='samples.png')
    parser.add_argument('--method', choices=['ddim', 'ddpm'], default='ddim')
    parser.add_argument('--steps', type=int, default=100, help='number of steps for ddim')
    parser.add_argument('--rows', type=int, default=4)
    parser.add_argument('--cols', type=int, default=8)
    parser.add_argument('--seed', type=int, default=42)
    args = parser.parse_args()

    device = get_device()
    torch.manual_seed(args.seed)

    ckpt = torch.load(args.ckpt, map_location=device)
    diffusion = GaussianProcess(ckpt['timesteps'], ckpt['schedule'], device)
    model = DenoiseNet().to(device)
    model.load_state_dict(ckpt['ema'])
    model.eval()

    shape = (args.rows * args.cols, 3, 32, 32)
    if args.method == 'ddpm':
        images = diffusion.sample_ddpm(model, shape)
    else:
        images = diffusion.ddim(model, shape, args.steps)
    save_image(images, args.output, nrow=args.cols, normalize=True, value_range=(-1, 1))


if __name__ == '__main__':
    main()
