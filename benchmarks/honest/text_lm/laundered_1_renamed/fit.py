'''
Fit the prose decoder to a corpus and watch its perplexity on unseen text.
'''
import argparse
import json
import math
import os
import time
from dataclasses import asdict

import numpy as np
import torch

import subwords
from decoder import DecoderSpec, make_weights, surprise


def read_corpus(vocabulary, filename):
    '''Symbols of one file, tagged at both ends.'''
    with open(filename, encoding='utf-8', errors='replace') as stream:
        return np.array(
            subwords.text_to_ids(
                vocabulary,
                stream.read(),
                open_tag=True,
                close_tag=True,
            ),
            dtype=np.int32,
        )


def random_excerpts(corpus, how_many, span, dice):
    '''A batch of excerpts and the same excerpts one symbol later.'''
    origin = dice.integers(0, len(corpus) - span, how_many)
    excerpt = torch.from_numpy(
        corpus[origin[:, None] + np.arange(span + 1)].astype(np.int64)
    )
    return excerpt[:, :-1], excerpt[:, 1:]


def pace(update, opts):
    '''Learning rate of an update: ramp first, cosine afterwards.'''
    if update < opts.ramp:
        return opts.peak * (update + 1) / opts.ramp
    progress = min(
        (update - opts.ramp) / max(opts.updates - opts.ramp, 1),
        1.0,
    )
    return opts.peak * (
        opts.rest
        + (1 - opts.rest) * 0.5 * (1 + math.cos(math.pi * progress))
    )


@torch.no_grad()
def evaluate(weights, spec, corpus, hop, where, at_once=8):
    '''Perplexity with overlapping excerpts; no symbol counts twice.'''
    span = min(spec.span, len(corpus) - 1)
    if not 0 < hop <= span:
        raise ValueError(f'the hop has to be between 1 and {span}')
    origins = list(range(0, len(corpus) - 1 - span, hop)) + [
        len(corpus) - 1 - span
    ]
    nats, symbols, reached = 0.0, 0, 0
    for cursor in range(0, len(origins), at_once):
        group = np.array(origins[cursor:cursor + at_once])
        excerpt = torch.from_numpy(
            corpus[group[:, None] + np.arange(span + 1)].astype(np.int64)
        ).to(where)
        answers = excerpt[:, 1:].clone()
        for line, origin in enumerate(group):
            # these answers were judged by an earlier excerpt
            answers[line, :max(reached - origin, 0)] = -1
            reached = origin + span
        judged = surprise(weights, spec, excerpt[:, :-1], answers)
        nats += float(judged.sum())
        symbols += int((answers >= 0).sum())
    return math.exp(nats / symbols)


def make_solver(weights, opts):
    return torch.optim.AdamW(
        [
            {
                'params': [w for w in weights.values() if w.ndim > 1],
                'weight_decay': opts.shrinkage,
            },
            {
                'params': [w for w in weights.values() if w.ndim == 1],
                'weight_decay': 0.0,
            },
        ],
        lr=opts.peak,
        betas=(0.9, 0.95),
    )


def write_bundle(filename, spec, weights, solver, update, dice):
    bundle = {
        'spec': asdict(spec),
        'weights': {label: w.detach() for label, w in weights.items()},
        'solver': solver.state_dict(),
        'update': update,
        # as text, because the numbers do not fit into 64 bits
        'dice': json.dumps(dice.bit_generator.state),
    }
    torch.save(bundle, filename + '.tmp')
    # the old bundle stays until the new one is complete
    os.replace(filename + '.tmp', filename)


def read_bundle(filename, weights, solver, dice):
    bundle = torch.load(filename, map_location='cpu', weights_only=True)
    with torch.no_grad():
        for label, w in weights.items():
            w.copy_(bundle['weights'][label])
    solver.load_state_dict(bundle['solver'])
    dice.bit_generator.state = json.loads(bundle['dice'])
    return bundle['update']


def update_once(weights, spec, solver, corpus, opts, speed, dice):
    for group in solver.param_groups:
        group['lr'] = speed
    solver.zero_grad()
    mean_nats = 0.0
    for _ in range(opts.portions):
        symbols, answers = (
            tensor.to(opts.where)
            for tensor in random_excerpts(
                corpus,
                opts.samples,
                spec.span,
                dice,
            )
        )
        with torch.autocast(
            opts.where,
            torch.bfloat16,
            enabled=opts.half,
        ):
            objective = (
                surprise(weights, spec, symbols, answers).mean()
                / opts.portions
            )
        objective.backward()
        mean_nats += objective.item()
    slope = torch.nn.utils.clip_grad_norm_(weights.values(), opts.max_slope)
    solver.step()
    return mean_nats, float(slope)


def main(opts):
    vocabulary = subwords.read_vocabulary(opts.vocabulary)
    corpus, unseen = (
        read_corpus(vocabulary, opts.corpus),
        read_corpus(vocabulary, opts.unseen),
    )
    if len(corpus) <= opts.span + 1:
        raise SystemExit(
            f'{opts.corpus} is too short: {len(corpus)} symbols '
            f'for a span of {opts.span}'
        )
    spec = DecoderSpec(
        vocabulary['length'],
        opts.channels,
        opts.depth,
        opts.n_heads,
        opts.n_groups,
        opts.inner,
        opts.span,
    )
    weights = {
        label: w.detach().to(opts.where).requires_grad_()
        for label, w in make_weights(spec, opts.random_state).items()
    }
    solver, dice = (
        make_solver(weights, opts),
        np.random.default_rng(opts.random_state),
    )
    begin = (
        read_bundle(opts.bundle, weights, solver, dice)
        if opts.go_on and os.path.exists(opts.bundle)
        else 0
    )
    print(
        f'weights: {sum(w.numel() for w in weights.values()):,}; '
        f'symbols: {len(corpus):,}; first update: {begin}'
    )
    clock = time.time()
    for update in range(begin, opts.updates):
        mean_nats, slope = update_once(
            weights,
            spec,
            solver,
            corpus,
            opts,
            pace(update, opts),
            dice,
        )
        if (update + 1) % opts.report == 0:
            print(
                f'[{update + 1:6d}] nats {mean_nats:.4f}, '
                f'slope {slope:.2f}, pace {pace(update, opts):.2e}, '
                f'{time.time() - clock:.0f} seconds'
            )
        if (update + 1) % opts.check == 0 or update + 1 == opts.updates:
            print(
                f'[{update + 1:6d}] unseen perplexity '
                f'{evaluate(weights, spec, unseen, opts.hop, opts.where):.3f}'
            )
            write_bundle(
                opts.bundle,
                spec,
                weights,
                solver,
                update + 1,
                dice,
            )


if __name__ == '__main__':
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument('corpus')
    cli.add_argument('unseen')
    cli.add_argument('--vocabulary', default='subwords.json')
    for label, preset in dict(
        channels=512,
        depth=8,
        n_heads=8,
        n_groups=2,
        inner=1408,
        span=1024,
        hop=256,
    ).items():
        cli.add_argument(
            '--' + label.replace('_', '-'),
            type=int,
            default=preset,
        )
    for label, preset in dict(
        samples=16,
        portions=4,
        updates=20000,
        ramp=500,
        report=20,
        check=1000,
        random_state=0,
    ).items():
        cli.add_argument('--' + label, type=int, default=preset)
    for label, preset in dict(
        peak=6e-4,
        rest=0.05,
        shrinkage=0.1,
        max_slope=1.0,
    ).items():
        cli.add_argument('--' + label, type=float, default=preset)
    cli.add_argument('--half', action='store_true')
    cli.add_argument(
        '--go-on',
        action='store_true',
        help='pick up the bundle of an earlier run',
    )
    cli.add_argument(
        '--where',
        default='cuda' if torch.cuda.is_available() else 'cpu',
    )
    cli.add_argument('--bundle', default='decoder.pt')
    main(cli.parse_args())
