import argparse
import copy
import os

import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from network import DenoiseNet
from process import GaussianProcess
from utils import get_device, infinite_batches, update_ema


def parse_args():
    parser = argparse.ArgumentParser()
    parser.add_argument('--data-dir', default='./datasets')
    parser.add_argument('--ckpt', default='model.pt')
    parser.add_argument('--batch-size', type=int, default=64)
    parser.add_argument('--lr', type=float, default=1e-4)
    parser.add_argument('--max-steps', type=int, default=300000)
    parser.add_argument('--warmup', type=int, default=2000)
    parser.add_argument('--timesteps', type=int, default=1000)
    parser.add_argument('--schedule', choices=['linear', 'cosine'], default='cosine')
    parser.add_argument('--ema-decay', type=float, default=0.9995)
    parser.add_argument('--save-every', type=int, default=10000)
    return parser.parse_args()


def get_loader(args):
    transform = transforms.Compose([
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize([0.5] * 3, [0.5] * 3),
    ])
    dataset = datasets.CIFAR10(args.data_dir, train=True, transform=transform, download=True)
    return DataLoader(dataset, batch_size=args.batch_size, shuffle=True,
                      num_workers=2, pin_memory=True, drop_last=True)


def main():
    args = parse_args()
    device = get_device()
    loader = get_loader(args)

    diffusion = GaussianProcess(args.timesteps, args.schedule, device)
    model = DenoiseNet().to(device)
    ema = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: min(1.0, (i + 1) / args.warmup))

    start = 0
    if os.path.exists(args.ckpt):
        ckpt = torch.load(args.ckpt, map_location=device)
        model.load_state_dict(ckpt['model'])
        ema.load_state_dict(ckpt['ema'])
        optimizer.load_state_dict(ckpt['optimizer'])
        scheduler.load_state_dict(ckpt['scheduler'])
        start = ckpt['step']
        print('Loaded checkpoint', args.ckpt, 'at step', start)

    batches = infinite_batches(loader)
    running = None
    for step in range(start + 1, args.max_steps + 1):
        batch = next(batches).to(device, non_blocking=True)
        optimizer.zero_grad()
        loss = diffusion.loss(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        update_ema(ema, model, step, args.ema_decay)

        value = loss.detach()
        running = value if running is None else running.lerp(value, 0.01)
        if step % 200 == 0:
            print('step {} | loss: {:.4f}'.format(step, running.item()), flush=True)

        if step % args.save_every == 0 or step == args.max_steps:
            torch.save({
                'step': step,
                'model': model.state_dict(),
                'ema': ema.state_dict(),
                'optimizer': optimizer.state_dict(),
                'scheduler': scheduler.state_dict(),
                'timesteps': args.timesteps,
                'schedule': args.schedule,
            }, args.ckpt)


if __name__ == '__main__':
    main()
