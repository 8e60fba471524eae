# Fits the density model to a .npy file of byte images, channels last:
#     python fit.py pictures.npy
import argparse
import copy

import numpy as np
import torch
from torch.utils.data import (
    DataLoader,
    TensorDataset,
    random_split,
)

from rivulet import Rivulet


class SlowTwin:
    def __init__(self, net, inertia):
        self.inertia = inertia
        self.net = copy.deepcopy(net).eval().requires_grad_(False)

    @torch.no_grad()
    def follow(self, net, tick):
        inertia = min(self.inertia, (1 + tick) / (10 + tick))
        for slow, fast in zip(self.net.parameters(), net.parameters()):
            slow.lerp_(fast, 1 - inertia)


def read_pictures(filename):
    pictures = torch.from_numpy(np.load(filename))
    if pictures.dtype != torch.uint8 or pictures.dim() != 4:
        raise ValueError('expected a uint8 array of shape (N, H, W, C)')
    return pictures.permute(0, 3, 1, 2).contiguous()


@torch.no_grad()
def assess(net, batches, where):
    costs = [net(batch.to(where)) for (batch,) in batches]
    return torch.cat(costs).mean().item()


def fit(opts):
    torch.manual_seed(opts.rng)
    where = 'cuda' if torch.cuda.is_available() else 'cpu'
    pictures = read_pictures(opts.pictures)
    kept_back = max(1, len(pictures) // 20)
    fit_part, check_part = random_split(
        TensorDataset(pictures),
        [len(pictures) - kept_back, kept_back],
    )
    fit_batches = DataLoader(
        fit_part,
        opts.minibatch,
        shuffle=True,
        drop_last=True,
    )
    check_batches = DataLoader(check_part, opts.minibatch)

    settings = dict(
        image_dims=tuple(pictures.shape[1:]),
        scales=opts.scales,
        ripples=opts.ripples,
        inner=opts.inner,
        decomposed=not opts.no_decomposition,
        depth=opts.depth,
        log_odds=opts.log_odds,
    )
    net = Rivulet(**settings).to(where)
    # the affine layers must see a batch once before their values are cloned into the twin
    with torch.no_grad():
        net.train()(next(iter(fit_batches))[0].to(where))
    twin = SlowTwin(net, opts.inertia)
    adam = torch.optim.Adam(net.parameters(), lr=opts.rate)
    ramp = torch.optim.lr_scheduler.LambdaLR(
        adam,
        lambda k: min(1.0, (k + 1) / opts.ramp_up),
    )

    tick = 0
    for lap in range(opts.laps):
        net.train()
        for (batch,) in fit_batches:
            cost = net(batch.to(where)).mean()
            adam.zero_grad(set_to_none=True)
            cost.backward()
            length = torch.nn.utils.clip_grad_norm_(
                net.parameters(),
                opts.max_grad,
            )
            if torch.isfinite(length):
                adam.step()
                twin.follow(net, tick)
            ramp.step()
            tick += 1
            if tick % 100 == 0:
                print(f'step {tick} bits/dim {cost.item():.4f} grad {length:.2f}')
        print(f'epoch {lap} validation bits/dim {assess(twin.net, check_batches, where):.4f}')
        torch.save(
            {'settings': settings, 'weights': twin.net.state_dict()},
            opts.target,
        )


if __name__ == '__main__':
    cli = argparse.ArgumentParser()
    cli.add_argument('pictures')
    cli.add_argument('--target', default='rivulet.pt')
    cli.add_argument('--log-odds', action='store_true')
    cli.add_argument(
        '--no-decomposition',
        action='store_true',
        help='keep every channel mixer as one full matrix',
    )
    for flag, preset in dict(
        scales=3,
        ripples=16,
        inner=256,
        depth=8,
        minibatch=64,
        laps=50,
        rate=5e-4,
        ramp_up=1000,
        max_grad=50.0,
        inertia=0.999,
        rng=0,
    ).items():
        cli.add_argument(
            '--' + flag.replace('_', '-'),
            type=type(preset),
            default=preset,
        )
    fit(cli.parse_args())
