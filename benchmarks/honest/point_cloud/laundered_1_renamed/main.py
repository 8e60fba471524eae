"""
ScanSorter entry point: fits the recogniser and scores it after each pass.
"""

import argparse
from dataclasses import (
    asdict,
    dataclass,
    fields,
)
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from encoder import ShapeNetBuilder
from scans import (
    PerturbationBuilder,
    PerturbOptions,
    ScanFolder,
    Spin,
)


@dataclass
class RunConfig:
    fit_dir: str = 'data/train'
    eval_dir: str = 'data/test'
    snapshot: str = 'checkpoints/best.pt'
    continue_from: str = ''
    layout: str = 'single'
    n_points: int = 1024
    bs: int = 24
    n_epochs: int = 200
    algo: str = 'adam'
    lr: float = 0.001
    l2: float = 0.0001
    annealing: str = 'step'
    step_len: int = 20
    step_gamma: float = 0.7
    smooth_eps: float = 0.1
    p_drop: float = 0.4
    n_passes: int = 5


class SolverBuilder:

    @staticmethod
    def build_solver(weights, cfg):
        if cfg.algo == 'adam':
            return torch.optim.Adam(
                weights,
                cfg.lr,
                weight_decay=cfg.l2,
            )
        if cfg.algo == 'sgd':
            return torch.optim.SGD(
                weights,
                cfg.lr,
                momentum=0.9,
                weight_decay=cfg.l2,
            )
        raise ValueError(
            f"Unknown optimizer '{cfg.algo}'; choose adam or sgd"
        )

    @staticmethod
    def build_annealing(solver, cfg):
        if cfg.annealing == 'step':
            return torch.optim.lr_scheduler.StepLR(
                solver,
                cfg.step_len,
                cfg.step_gamma,
            )
        if cfg.annealing == 'cosine':
            return torch.optim.lr_scheduler.CosineAnnealingLR(
                solver,
                cfg.n_epochs,
            )
        raise ValueError(
            f"Unknown schedule '{cfg.annealing}'; choose step or cosine"
        )


class NormTuner:

    def __init__(
        self,
        net,
        period,
        start=0.1,
        gamma=0.5,
        minimum=0.01,
    ):
        self._norms = [
            sub
            for sub in net.modules()
            if isinstance(sub, nn.modules.batchnorm._BatchNorm)
        ]
        self._period, self._start, self._gamma, self._minimum = (
            period, start, gamma, minimum
        )

    def run(self, ep):
        value = max(
            self._minimum,
            self._start * self._gamma ** (ep // self._period),
        )
        for norm in self._norms:
            norm.momentum = value


class SoftTargetLoss(nn.Module):

    def __init__(self, eps):
        super().__init__()
        if not 0.0 <= eps < 1.0:
            raise ValueError(
                f'Label smoothing must lie in [0, 1), got {eps}'
            )
        self._eps = eps

    def forward(self, scores, y):
        logp = scores.log_softmax(dim=1)
        nll = -logp.gather(1, y.unsqueeze(1)).squeeze(1)
        flat = -logp.mean(dim=1)
        return (
            (1 - self._eps) * nll
            + self._eps * flat
        ).mean()


class ScoreCard:

    def __init__(self, y_hat, y, n_labels):
        ok = y_hat == y
        self.total_acc = ok.float().mean().item()
        support = torch.bincount(
            y,
            minlength=n_labels,
        )
        right = torch.bincount(
            y[ok],
            minlength=n_labels,
        )
        # labels without any sample do not count
        self.class_acc = (
            right[support > 0] / support[support > 0]
        ).mean().item()

    def __str__(self):
        return f'overall {self.total_acc:.4f}, mean per class {self.class_acc:.4f}'


class MultiPassScorer:
    """Runs the evaluation set repeatedly and sums the softmax outputs."""

    def __init__(self, batches, n_labels, n_passes, dev):
        if n_passes < 1:
            raise ValueError(
                f'At least one vote is needed, got {n_passes}'
            )
        self._batches, self._n_labels = batches, n_labels
        self._n_passes, self._dev = n_passes, dev

    @torch.no_grad()
    def score(self, net):
        net.eval()
        acc = 0
        for _ in range(self._n_passes):
            probs, ys = [], []
            for x, y in self._batches:
                probs.append(
                    net(x.to(self._dev)).softmax(dim=1).cpu()
                )
                ys.append(y)
            acc = acc + torch.cat(probs)
        return ScoreCard(
            acc.argmax(dim=1),
            torch.cat(ys),
            self._n_labels,
        )


class SnapshotFile:

    def __init__(self, file):
        self._file = Path(file)

    def write(self, **state):
        self._file.parent.mkdir(
            parents=True,
            exist_ok=True,
        )
        torch.save(state, self._file)

    def read(self, dev):
        if not self._file.is_file():
            raise FileNotFoundError(
                f'No checkpoint at {self._file}'
            )
        return torch.load(
            self._file,
            map_location=dev,
        )


class Session:

    def __init__(self, cfg):
        self._cfg = cfg
        self._dev = torch.device(
            'cuda' if torch.cuda.is_available() else 'cpu'
        )

        # data
        steps = PerturbationBuilder.for_training(PerturbOptions())
        fit_set = ScanFolder(
            cfg.fit_dir,
            cfg.n_points,
            steps,
        )
        self._labels = fit_set.labels
        eval_set = ScanFolder(
            cfg.eval_dir,
            cfg.n_points,
            [Spin()],
            self._labels,
        )
        if len(fit_set) < cfg.bs:
            raise ValueError(
                f'{len(fit_set)} training clouds cannot fill a batch of {cfg.bs}'
            )
        self._batches = DataLoader(
            fit_set,
            cfg.bs,
            shuffle=True,
            drop_last=True,
        )

        # network and solver
        n_labels = len(self._labels)
        self._scorer = MultiPassScorer(
            DataLoader(eval_set, cfg.bs),
            n_labels,
            cfg.n_passes,
            self._dev,
        )
        self._net = ShapeNetBuilder.build(
            cfg.layout,
            n_labels,
            cfg.p_drop,
        ).to(self._dev)
        self._loss_fn = SoftTargetLoss(cfg.smooth_eps)
        self._solver = SolverBuilder.build_solver(
            self._net.parameters(),
            cfg,
        )
        self._annealing = SolverBuilder.build_annealing(
            self._solver,
            cfg,
        )
        self._norm_tuner = NormTuner(
            self._net,
            cfg.step_len,
        )
        self._snapshot = SnapshotFile(cfg.snapshot)
        self._start_ep, self._top = 0, -1.0
        if cfg.continue_from:
            self._resume(
                SnapshotFile(cfg.continue_from).read(self._dev)
            )

    def _resume(self, state):
        if state['labels'] != self._labels:
            raise ValueError(
                'The checkpoint was trained on a different list of classes'
            )
        self._net.load_state_dict(state['net'])
        self._solver.load_state_dict(state['solver'])
        self._annealing.load_state_dict(state['annealing'])
        self._start_ep, self._top = state['ep'] + 1, state['top']

    def _one_pass(self):
        self._net.train()
        running = 0.0
        for x, y in self._batches:
            err = self._loss_fn(
                self._net(x.to(self._dev)),
                y.to(self._dev),
            )
            self._solver.zero_grad()
            err.backward()
            self._solver.step()
            running += err.item()
        return running / len(self._batches)

    def start(self):
        for ep in range(
            self._start_ep,
            self._cfg.n_epochs,
        ):
            self._norm_tuner.run(ep)
            err = self._one_pass()
            self._annealing.step()
            card = self._scorer.score(self._net)
            print(f'epoch {ep + 1}: loss {err:.4f}, {card}')
            if card.total_acc > self._top:
                self._top = card.total_acc
                self._snapshot.write(
                    net=self._net.state_dict(),
                    solver=self._solver.state_dict(),
                    annealing=self._annealing.state_dict(),
                    ep=ep,
                    top=self._top,
                    labels=self._labels,
                    cfg=asdict(self._cfg),
                )


if __name__ == '__main__':
    cli = argparse.ArgumentParser(description=__doc__)
    for opt in fields(RunConfig):
        cli.add_argument(
            '--' + opt.name.replace('_', '-'),
            type=opt.type,
            default=opt.default,
        )
    Session(
        RunConfig(**vars(cli.parse_args()))
    ).start()
