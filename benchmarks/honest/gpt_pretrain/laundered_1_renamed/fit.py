'''Fit a TinyScribe network to encoded text.

Usage: python fit.py corpus/fit.bin --holdout corpus/holdout.bin
'''

import argparse
import contextlib
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from network import Hyper, Scribe


class Corpus:
    '''Hands out excerpts cut at random places from an on-disk array.'''

    def __init__(self, filename, window, n_seq, where):
        self.array = np.memmap(
            filename,
            dtype=np.uint16,
            mode='r',
        )
        if len(self.array) <= window:
            raise ValueError(
                f'{filename} is too short: {len(self.array)} symbols'
            )
        self.window, self.n_seq, self.where = window, n_seq, where

    def draw(self):
        offsets = torch.randint(
            len(self.array) - self.window,
            (self.n_seq,),
        ).tolist()
        excerpts = np.stack(
            [self.array[o:o + self.window + 1] for o in offsets]
        ).astype(np.int64)
        excerpts = torch.from_numpy(excerpts).to(self.where)
        return excerpts[:, :-1], excerpts[:, 1:]


def rate_for(tick, opts):
    if tick < opts.ramp:
        return opts.peak_rate * (tick + 1) / opts.ramp
    progress = min(
        1.0,
        (tick - opts.ramp) / max(1, opts.ticks - opts.ramp),
    )
    return (
        opts.floor_rate
        + 0.5 * (opts.peak_rate - opts.floor_rate)
        * (1 + math.cos(math.pi * progress))
    )


def surprise(net, given, wanted):
    return F.cross_entropy(
        net(given).flatten(0, 1),
        wanted.flatten(),
    )


@torch.no_grad()
def measure(net, corpus, n_draws, half):
    net.eval()
    acc = 0.0
    for _ in range(n_draws):
        given, wanted = corpus.draw()
        with half():
            acc += surprise(net, given, wanted).item()
    net.train()
    return acc / n_draws


def read_options():
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument('corpus')
    cli.add_argument('--holdout')
    cli.add_argument('--folder', type=Path, default=Path('models/scribe'))
    cli.add_argument('--go-on', action='store_true')
    for field, preset in asdict(Hyper()).items():
        cli.add_argument(
            '--' + field.replace('_', '-'),
            type=type(preset),
            default=preset,
        )
    cli.add_argument('--n-seq', type=int, default=12)
    cli.add_argument('--micro', type=int, default=40)
    cli.add_argument('--ticks', type=int, default=100_000)
    cli.add_argument('--ramp', type=int, default=1000)
    cli.add_argument('--peak-rate', type=float, default=6e-4)
    cli.add_argument('--floor-rate', type=float, default=6e-5)
    cli.add_argument('--decay', type=float, default=0.1)
    cli.add_argument('--max-norm', type=float, default=1.0)
    cli.add_argument('--measure-each', type=int, default=1000)
    cli.add_argument('--measure-draws', type=int, default=100)
    cli.add_argument('--report-each', type=int, default=10)
    cli.add_argument(
        '--number-type',
        choices=['fp32', 'fp16', 'bf16'],
        default='bf16',
    )
    cli.add_argument('--rng', type=int, default=0)
    return cli.parse_args()


def run():
    opts = read_options()
    torch.manual_seed(opts.rng)
    torch.set_float32_matmul_precision('high')
    where = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    opts.folder.mkdir(parents=True, exist_ok=True)
    newest = opts.folder / 'newest.pth'

    stored = torch.load(newest, map_location=where) if opts.go_on else None
    fields = (
        stored['hyper']
        if stored
        else {field: getattr(opts, field) for field in asdict(Hyper())}
    )
    hyper = Hyper(**fields)
    net = Scribe(hyper).to(where)
    adam = torch.optim.AdamW(
        net.split_for_decay(opts.decay),
        lr=opts.peak_rate,
        betas=(0.9, 0.95),
    )
    amplifier = torch.cuda.amp.GradScaler(
        enabled=opts.number_type == 'fp16' and where.type == 'cuda',
    )
    start_tick, record = 0, float('inf')
    if stored:
        net.load_state_dict(stored['net'])
        adam.load_state_dict(stored['adam'])
        amplifier.load_state_dict(stored['amplifier'])
        start_tick, record = stored['tick'], stored['record']
        print(f'picking up again from tick {start_tick}')

    def half():
        if opts.number_type == 'fp32' or where.type == 'cpu':
            return contextlib.nullcontext()
        kind = torch.float16 if opts.number_type == 'fp16' else torch.bfloat16
        return torch.autocast(where.type, dtype=kind)

    def store(filename, tick):
        bundle = {
            'hyper': asdict(hyper),
            'tick': tick,
            'record': record,
            'amplifier': amplifier.state_dict(),
        }
        torch.save(
            {
                **bundle,
                'net': net.state_dict(),
                'adam': adam.state_dict(),
            },
            filename,
        )

    corpus = Corpus(opts.corpus, hyper.window, opts.n_seq, where)
    holdout = (
        Corpus(opts.holdout, hyper.window, opts.n_seq, where)
        if opts.holdout
        else None
    )
    print(
        f'network of {sum(w.numel() for w in net.parameters()) / 1e6:.1f}M weights, running on {where}'
    )

    for tick in range(start_tick, opts.ticks):
        for bunch in adam.param_groups:
            bunch['lr'] = rate_for(tick, opts)

        tally = torch.zeros((), device=where)
        for _ in range(opts.micro):
            with half():
                cost = surprise(net, *corpus.draw()) / opts.micro
            amplifier.scale(cost).backward()
            tally += cost.detach()

        amplifier.unscale_(adam)
        torch.nn.utils.clip_grad_norm_(net.parameters(), opts.max_norm)
        amplifier.step(adam)
        amplifier.update()
        adam.zero_grad(set_to_none=True)

        finished = tick + 1
        if finished % opts.report_each == 0:
            print(f'tick {finished}: cost {tally.item():.4f}')
        if finished % opts.measure_each == 0 or finished == opts.ticks:
            if holdout is not None:
                result = measure(net, holdout, opts.measure_draws, half)
                print(f'tick {finished}: holdout cost {result:.4f}')
                if result < record:
                    record = result
                    store(opts.folder / 'finest.pth', finished)
            store(newest, finished)


if __name__ == '__main__':
    run()
