"""Fit TideSight to a table of sensor readings and report how good it is."""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from networks import LastCycleNet, SegmentAttentionNet, TwoPartLinearNet
from scoring import pick_objective, score_network, seasonal_step_size
from tables import Partition, partition_table


def read_options() -> argparse.Namespace:
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument('table', type=Path)
    cli.add_argument('--network', choices=['segment', 'twopart', 'cycle'], default='segment')
    cli.add_argument('--compare', action='store_true', help='run the remaining networks as well')
    cli.add_argument('--lookback', type=int, default=336)
    cli.add_argument('--lookahead', type=int, default=96)
    cli.add_argument('--cycle', type=int, default=24)
    cli.add_argument('--objective', choices=['l2', 'l1', 'tilted'], default='l2')
    cli.add_argument('--taus', type=float, nargs='+', default=[0.1, 0.25, 0.5, 0.75, 0.9])
    cli.add_argument('--segment', type=int, default=16)
    cli.add_argument('--hop', type=int, default=8)
    cli.add_argument('--width', type=int, default=128)
    cli.add_argument('--n-heads', type=int, default=8)
    cli.add_argument('--n-blocks', type=int, default=3)
    cli.add_argument('--drop-rate', type=float, default=0.2)
    cli.add_argument('--readout', choices=['concat', 'average'], default='concat')
    cli.add_argument('--rounds', type=int, default=50)
    cli.add_argument('--tolerance', type=int, default=8)
    cli.add_argument('--examples', type=int, default=64)
    cli.add_argument('--rate', type=float, default=1e-3)
    cli.add_argument('--decay', type=float, default=1e-4)
    cli.add_argument('--max-norm', type=float, default=1.0)
    cli.add_argument('--folder', type=Path, default=Path('results/tidesight'))
    cli.add_argument('--rng', type=int, default=0)
    return cli.parse_args()


def make_network(
    kind: str,
    opts: argparse.Namespace,
    sensors: int,
    levels: int,
) -> nn.Module:
    if kind == 'cycle':
        return LastCycleNet(opts.lookahead, opts.cycle, levels)

    if kind == 'twopart':
        return TwoPartLinearNet(opts.lookback, opts.lookahead, levels)

    return SegmentAttentionNet(
        sensors,
        opts.lookback,
        opts.lookahead,
        levels,
        opts.segment,
        opts.hop,
        opts.width,
        opts.n_heads,
        opts.n_blocks,
        2 * opts.width,
        opts.drop_rate,
        opts.readout,
    )


def optimise(
    network: nn.Module,
    partition: Partition,
    opts: argparse.Namespace,
    taus: torch.Tensor,
    where: str,
) -> None:
    """Adjust the weights until the checking score stops falling, then go back to the best ones."""
    fitting = DataLoader(
        partition.fitting,
        opts.examples,
        shuffle=True,
        drop_last=len(partition.fitting) > opts.examples,
    )
    checking = DataLoader(partition.checking, opts.examples)
    objective = pick_objective(opts.objective, taus)
    stepper = torch.optim.AdamW(
        network.parameters(),
        lr=opts.rate,
        weight_decay=opts.decay,
    )
    rate_plan = torch.optim.lr_scheduler.OneCycleLR(
        stepper,
        opts.rate,
        epochs=opts.rounds,
        steps_per_epoch=len(fitting),
        pct_start=0.3,
    )

    lowest, kept_weights, waited = (
        float('inf'),
        copy.deepcopy(network.state_dict()),
        0,
    )
    for turn in range(opts.rounds):
        network.train()
        fit_score = 0.0
        for past, future in fitting:
            cost = objective(network(past.to(where)), future.to(where))
            stepper.zero_grad(set_to_none=True)
            cost.backward()
            nn.utils.clip_grad_norm_(network.parameters(), opts.max_norm)
            stepper.step()
            rate_plan.step()
            fit_score += cost.item() / len(fitting)

        network.eval()
        with torch.no_grad():
            summed = sum(
                objective(network(past.to(where)), future.to(where)).item() * len(past)
                for past, future in checking
            )
        check_score = summed / len(partition.checking)
        print(
            f'round {turn:3d} | fitting {fit_score:.4f} | checking {check_score:.4f}',
            flush=True,
        )

        if check_score < lowest:
            lowest, kept_weights, waited = (
                check_score,
                copy.deepcopy(network.state_dict()),
                0,
            )
        else:
            waited += 1
            if waited >= opts.tolerance:
                print(f'checking score has not fallen for {waited} rounds: done')
                break

    network.load_state_dict(kept_weights)


def run() -> None:
    opts = read_options()
    torch.manual_seed(opts.rng)
    where = 'cuda' if torch.cuda.is_available() else 'cpu'
    opts.folder.mkdir(parents=True, exist_ok=True)

    partition = partition_table(opts.table, opts.lookback, opts.lookahead)
    tau_list = sorted(opts.taus) if opts.objective == 'tilted' else [0.5]
    taus = torch.tensor(tau_list, device=where)
    step = seasonal_step_size(partition.fitting.table.numpy(), opts.cycle)
    final = DataLoader(partition.final, opts.examples)

    kinds = [opts.network]
    if opts.compare:
        kinds += [k for k in ('twopart', 'cycle') if k != opts.network]

    scores = {}
    for kind in kinds:
        network = make_network(
            kind,
            opts,
            len(partition.titles),
            len(tau_list),
        ).to(where)
        if any(w.requires_grad for w in network.parameters()):
            print(f'fitting the {kind} network')
            optimise(network, partition, opts, taus, where)
            torch.save(
                {
                    'weights': network.state_dict(),
                    'titles': partition.titles,
                    'taus': tau_list,
                    'centre': torch.as_tensor(partition.centre),
                    'spread': torch.as_tensor(partition.spread),
                },
                opts.folder / f'{kind}.pt',
            )
        scores[kind] = score_network(network, final, taus, step, where)

    for kind, line in scores.items():
        print(f'{kind:10s}' + ''.join(f'  {label} {number:.4f}' for label, number in line.items()))
    (opts.folder / 'scores.json').write_text(json.dumps(scores, indent=2))


if __name__ == '__main__':
    run()
