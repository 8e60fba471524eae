'''Fit the voice encoder to recordings sorted by person.'''

import argparse
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from sound_io import FilterbankFrontend, VoiceCollection, RandomMasking
from voice_net import MarginClassifier, VoiceEncoder


def read_options():
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument('corpus', help='where the per-person directories are')
    cli.add_argument('--background', help='sounds to mix in (gaussian when not given)')
    cli.add_argument('--target-dir', type=Path, default=Path('runs/voicelock'))
    cli.add_argument('--continue-from', type=Path)
    cli.add_argument('--rounds', type=int, default=40)
    cli.add_argument('--per-step', type=int, default=128)
    cli.add_argument('--duration', type=float, default=2.0)
    cli.add_argument('--n-channels', type=int, default=512)
    cli.add_argument('--step-size', type=float, default=1e-3)
    cli.add_argument('--annealing', choices=['cyclic', 'cosine'], default='cyclic')
    cli.add_argument('--period', type=int, default=8, help='rounds in a full up-and-down sweep')
    cli.add_argument('--angle', type=float, default=0.2)
    cli.add_argument('--temperature', type=float, default=30.0)
    cli.add_argument('--relaxed', action='store_true')
    cli.add_argument('--loaders', type=int, default=4)
    cli.add_argument('--random-state', type=int, default=0)
    return cli.parse_args()


def build_annealing(solver, options, n_steps):
    if options.annealing == 'cosine':
        return torch.optim.lr_scheduler.CosineAnnealingLR(
            solver,
            options.rounds * n_steps,
            eta_min=options.step_size * 1e-3,
        )
    rise = max(1, options.period * n_steps // 2)
    return torch.optim.lr_scheduler.CyclicLR(
        solver,
        base_lr=options.step_size * 1e-3,
        max_lr=options.step_size,
        step_size_up=rise,
        mode='triangular2',
        cycle_momentum=False,
    )


def run():
    options = read_options()
    torch.manual_seed(options.random_state)
    where = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    collection = VoiceCollection(options.corpus, options.duration, options.background)
    batches = DataLoader(
        collection,
        options.per_step,
        shuffle=True,
        drop_last=True,
        num_workers=options.loaders,
        pin_memory=where.type == 'cuda',
    )
    if len(batches) == 0:
        raise SystemExit('fewer recordings than one batch; lower --per-step')
    print(
        f'{len(collection)} recordings, {len(collection.voices)} speakers, device {where}'
    )

    frontend, masking = FilterbankFrontend().to(where), RandomMasking()
    encoder = VoiceEncoder(n_channels=options.n_channels).to(where)
    classifier = MarginClassifier(
        192,
        len(collection.voices),
        options.angle,
        options.temperature,
        options.relaxed,
    ).to(where)
    solver = torch.optim.Adam(
        [
            {'params': encoder.parameters(), 'weight_decay': 2e-5},
            {'params': classifier.parameters(), 'weight_decay': 2e-4},
        ],
        lr=options.step_size,
    )
    annealing = build_annealing(solver, options, len(batches))
    pieces = {
        'encoder': encoder,
        'classifier': classifier,
        'solver': solver,
        'annealing': annealing,
    }

    start_round = 0
    if options.continue_from:
        stored = torch.load(
            options.continue_from,
            map_location=where,
            weights_only=False,
        )
        for key, piece in pieces.items():
            piece.load_state_dict(stored[key])
        start_round = stored['round'] + 1

    options.target_dir.mkdir(parents=True, exist_ok=True)
    for current in range(start_round, options.rounds):
        encoder.train()
        loss_sum = hits_sum = 0.0
        for signal, truth in batches:
            signal, truth = signal.to(where), truth.to(where)
            penalty, hits = classifier(
                encoder(masking(frontend(signal))),
                truth,
            )
            solver.zero_grad(set_to_none=True)
            penalty.backward()
            solver.step()
            annealing.step()
            loss_sum += penalty.item()
            hits_sum += hits.item()
        print(
            f'epoch {current}: loss {loss_sum / len(batches):.4f} '
            f'acc {hits_sum / len(batches):.4f} lr {annealing.get_last_lr()[0]:.2e}'
        )
        snapshot = {key: piece.state_dict() for key, piece in pieces.items()}
        snapshot.update(
            round=current,
            n_channels=options.n_channels,
            voices=collection.voices,
        )
        torch.save(snapshot, options.target_dir / f'epoch{current:03d}.pt')


if __name__ == '__main__':
    run()
