"""Entry point: python learn.py --world CartPole-v1 teaches a net to control a world."""
from __future__ import annotations

import argparse
import csv
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch as th
import torch.nn as tnn

from brain import BrainSpec, TwinNet
from harvest import Harvester, Trace, shards, spawn_worlds


@dataclass(frozen=True)
class LearnSpec:
    """All the knobs."""

    world: str = 'CartPole-v1'
    n_worlds: int = 8
    length: int = 128
    budget: int = 200_000
    passes: int = 4
    pieces: int = 4
    step_size: float = 3e-4
    horizon_decay: float = 0.99
    trace_decay: float = 0.95
    trust: float = 0.2
    worth_trust: float = 0.2
    worth_coef: float = 0.5
    chaos_from: float = 0.01
    chaos_to: float = 0.0
    grad_cap: float = 0.5
    drift_cap: float | None = 0.03
    rng_seed: int = 0
    folder: str = 'runs/ppo'
    brain: BrainSpec = field(default_factory=BrainSpec)

    @property
    def n_rounds(self) -> int:
        return self.budget // (self.n_worlds * self.length)


class Teacher:
    """Gathers, learns, gathers, learns."""

    def __init__(self, spec: LearnSpec) -> None:
        th.manual_seed(spec.rng_seed)
        self.spec = spec
        self.dev = th.device('cuda' if th.cuda.is_available() else 'cpu')
        self.worlds = spawn_worlds(n_worlds=spec.n_worlds, world=spec.world)
        self.net = TwinNet(
            spec=spec.brain,
            control_space=self.worlds.single_action_space,
            n_features=self.worlds.single_observation_space.shape[0],
        ).to(self.dev)
        self.adam = th.optim.Adam(self.net.parameters(), eps=1e-5, lr=spec.step_size)
        self.harvester = Harvester(self.worlds, self.net, dev=self.dev, rng_seed=spec.rng_seed)
        self.folder = Path(spec.folder)
        self.folder.mkdir(exist_ok=True, parents=True)
        self.round = 0

    def chaos_coef(self) -> float:
        frac = self.round / max(1, self.spec.n_rounds - 1)
        return self.spec.chaos_from + frac * (self.spec.chaos_to - self.spec.chaos_from)

    def worth_penalty(self, worths: th.Tensor, part: Trace) -> th.Tensor:
        bound = self.spec.worth_trust
        held = part.worths + (worths - part.worths).clamp(max=bound, min=-bound)
        return 0.5 * th.maximum((worths - part.goals) ** 2, (held - part.goals) ** 2).mean()

    def objective(self, part: Trace, hidden: th.Tensor) -> tuple[th.Tensor, dict[str, float]]:
        """What is minimised, plus diagnostics."""
        law, worths, _ = self.net(part.seen, hidden=hidden, first=part.first)
        log_quot = law.log_prob(part.controls) - part.logps
        quot = log_quot.exp()
        edges = (part.edges - part.edges.mean()) / (part.edges.std() + 1e-8)
        held = quot.clamp(max=1.0 + self.spec.trust, min=1.0 - self.spec.trust)
        control_loss = -th.minimum(quot * edges, held * edges).mean()
        worth_loss = self.worth_penalty(worths, part)
        chaos = law.entropy().mean()
        combined = control_loss + self.spec.worth_coef * worth_loss - self.chaos_coef() * chaos
        numbers = {
            'control_loss': control_loss.item(),
            'worth_loss': worth_loss.item(),
            'chaos': chaos.item(),
            'drift': (quot - 1.0 - log_quot).mean().item(),
            'held_share': (quot != held).float().mean().item(),
        }
        return combined, numbers

    def digest(self, trace: Trace, hidden0: th.Tensor) -> dict[str, float]:
        """Go over one harvest a few times, unless the net drifts away from it."""
        s = self.spec
        numbers: dict[str, float] = {}
        for _ in range(s.passes):
            for part, hidden in shards(trace, hidden0, with_gru=s.brain.use_gru, pieces=s.pieces):
                objective, numbers = self.objective(part, hidden)
                self.adam.zero_grad()
                objective.backward()
                tnn.utils.clip_grad_norm_(self.net.parameters(), s.grad_cap)
                self.adam.step()
            if s.drift_cap is not None and numbers['drift'] > s.drift_cap:
                break
        return numbers

    def dump(self) -> None:
        snapshot = {
            'spec': asdict(self.spec),
            'net': self.net.state_dict(),
            'adam': self.adam.state_dict(),
            'round': self.round,
        }
        th.save(snapshot, self.folder / 'snapshot.pt')

    def restore(self, file: Path) -> None:
        snapshot = th.load(file, weights_only=True, map_location=self.dev)
        self.net.load_state_dict(snapshot['net'])
        self.adam.load_state_dict(snapshot['adam'])
        self.round = snapshot['round']

    def report(self, numbers: dict[str, float], *, t0: float) -> None:
        scores = self.harvester.scores
        line = {
            'frames': self.round * self.spec.n_worlds * self.spec.length,
            'score': sum(scores) / len(scores) if scores else float('nan'),
            'elapsed': time.monotonic() - t0,
            **numbers,
        }
        table = self.folder / 'progress.csv'
        blank = not table.exists()
        with table.open('a', newline='') as out:
            sheet = csv.DictWriter(out, fieldnames=list(line))
            if blank:
                sheet.writeheader()
            sheet.writerow(line)
        print('  '.join(f'{key} {num:.4g}' for key, num in line.items()))

    def teach(self, *, dump_period: int = 50, report_period: int = 5) -> None:
        s, t0 = self.spec, time.monotonic()
        while self.round < s.n_rounds:
            trace, hidden0 = self.harvester.reap(
                horizon_decay=s.horizon_decay,
                trace_decay=s.trace_decay,
                length=s.length,
            )
            numbers = self.digest(trace, hidden0)
            self.round += 1
            if self.round % report_period == 0:
                self.report(numbers, t0=t0)
            if self.round % dump_period == 0:
                self.dump()
        self.dump()
        self.worlds.close()


def cli() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument('--world', default=LearnSpec.world)
    ap.add_argument('--budget', default=LearnSpec.budget, type=int)
    ap.add_argument('--folder', default=LearnSpec.folder)
    ap.add_argument('--rng-seed', default=LearnSpec.rng_seed, type=int)
    ap.add_argument('--use-gru', action='store_true')
    ap.add_argument('--restore', type=Path)
    ns = ap.parse_args()

    teacher = Teacher(
        LearnSpec(
            world=ns.world,
            budget=ns.budget,
            folder=ns.folder,
            rng_seed=ns.rng_seed,
            brain=BrainSpec(use_gru=ns.use_gru),
        )
    )
    if ns.restore is not None:
        teacher.restore(ns.restore)
    teacher.teach()


if __name__ == '__main__':
    cli()
