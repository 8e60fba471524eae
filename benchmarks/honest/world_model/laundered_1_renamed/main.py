'''Runs a whole experiment: interaction, optimisation, test rollouts, bookkeeping.'''

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from learner import Learner
from rollouts import CameraTask, TransitionStore


def run_tests(learner, task, n_rollouts):
    totals = []
    for _ in range(n_rollouts):
        picture, carried, total, done = task.restart(), None, 0.0, False
        while not done:
            ctrl, carried = learner.decide(
                picture,
                carried,
                greedy=True,
            )
            picture, gain, failed, timed_out = task.advance(ctrl)
            total += gain
            done = failed or timed_out
        totals.append(total)
    return float(np.mean(totals))


def run():
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument('--task', default='Pendulum-v1')
    cli.add_argument(
        '--folder',
        type=Path,
        default=Path('results/foresight'),
    )
    cli.add_argument(
        '--restore',
        type=Path,
        help='saved file to go on from; stored transitions are not part of it',
    )
    cli.add_argument(
        '--n-ticks',
        type=int,
        default=200_000,
        help='how many controls are chosen in all',
    )
    cli.add_argument(
        '--warm-ticks',
        type=int,
        default=2_000,
        help='how many of them are random to begin with',
    )
    cli.add_argument('--learn-period', type=int, default=5)
    cli.add_argument('--test-period', type=int, default=10_000)
    cli.add_argument('--test-rollouts', type=int, default=5)
    cli.add_argument('--n-windows', type=int, default=32)
    cli.add_argument('--window', type=int, default=50)
    cli.add_argument('--max-items', type=int, default=200_000)
    cli.add_argument('--hold', type=int, default=2)
    cli.add_argument('--jitter', type=float, default=0.3)
    cli.add_argument('--rng-seed', type=int, default=0)
    opts = cli.parse_args()

    torch.manual_seed(opts.rng_seed)
    generator = np.random.default_rng(opts.rng_seed)
    dev = torch.device(
        'cuda' if torch.cuda.is_available() else 'cpu'
    )
    opts.folder.mkdir(parents=True, exist_ok=True)
    task = CameraTask(opts.task, opts.hold, opts.rng_seed)
    test_task = CameraTask(opts.task, opts.hold, opts.rng_seed + 1000)
    store = TransitionStore(opts.max_items, task.ctrl_dim, opts.rng_seed)
    learner = Learner(task.ctrl_dim).to(dev)
    learner.attach_solvers()

    origin = 0
    if opts.restore:
        snapshot = torch.load(opts.restore, map_location=dev)
        learner.load_state_dict(snapshot['learner'])
        for part, solver_state in snapshot['solvers'].items():
            learner.solvers[part].load_state_dict(solver_state)
        origin = snapshot['tick']

    def note(tick, **figures):
        row = {
            'tick': tick,
            **{key: round(fig, 5) for key, fig in figures.items()},
        }
        print(
            '  '.join(f'{key} {fig}' for key, fig in row.items()),
            flush=True,
        )
        with open(opts.folder / 'history.jsonl', 'a') as sink:
            sink.write(json.dumps(row) + '\n')

    def open_rollout():
        picture = task.restart()
        store.push(
            picture=picture,
            ctrl=0.0,
            gain=0.0,
            alive=1.0,
            opening=1.0,
        )
        return picture, None, 0.0

    picture, carried, total = open_rollout()
    reports = []
    warm_end = max(opts.warm_ticks, opts.window)
    for tick in range(origin + 1, opts.n_ticks + 1):
        if tick <= warm_end and not opts.restore:
            ctrl = generator.uniform(-1, 1, task.ctrl_dim).astype(
                np.float32
            )
        else:
            # if the random phase ended mid-rollout, the belief is built up from here
            ctrl, carried = learner.decide(
                picture,
                carried,
                jitter=opts.jitter,
            )
        picture, gain, failed, timed_out = task.advance(ctrl)
        store.push(
            picture=picture,
            ctrl=ctrl,
            gain=gain,
            alive=1.0 - failed,
            opening=0.0,
        )
        total += gain
        if failed or timed_out:
            note(tick, rollout_total=total)
            picture, carried, total = open_rollout()

        if tick - origin > warm_end and tick % opts.learn_period == 0:
            reports.append(
                learner.improve(
                    store.draw(opts.n_windows, opts.window, dev)
                )
            )
            if len(reports) == 100:
                note(
                    tick,
                    **{
                        key: float(np.mean([r[key] for r in reports]))
                        for key in reports[0]
                    },
                )
                reports.clear()
        if tick % opts.test_period == 0:
            note(
                tick,
                test_total=run_tests(
                    learner,
                    test_task,
                    opts.test_rollouts,
                ),
            )
            torch.save(
                {
                    'learner': learner.state_dict(),
                    'tick': tick,
                    'solvers': {
                        part: solver.state_dict()
                        for part, solver in learner.solvers.items()
                    },
                },
                opts.folder / 'snapshot.pt',
            )


if __name__ == '__main__':
    run()
