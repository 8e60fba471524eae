"""Teach the network to tell talkers apart."""
import argparse
import pathlib

import torch
from torch.optim import Adam
from torch.optim.lr_scheduler import CosineAnnealingLR, CyclicLR
from torch.utils.data import DataLoader

from corpus import TalkerCorpus
from network import AngularLoss, TalkerNet
from spectral import MaskOut, MelFrontend


class Fitter:
    def __init__(self, options):
        torch.manual_seed(options.seed)
        self.options = options
        self.device = torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")
        self._open_corpus()
        self._build()
        self.start = 0
        if options.restart_from:
            self._restore(options.restart_from)

    def _open_corpus(self):
        options = self.options
        self.corpus = TalkerCorpus(options.corpus, options.noises, options.duration)
        self.batches = DataLoader(
            self.corpus, batch_size=options.batch, num_workers=options.processes,
            pin_memory=self.device.type == "cuda", drop_last=True, shuffle=True)
        if not len(self.batches):
            raise SystemExit("not even one full batch in the corpus, choose a smaller --batch")
        print(f"device {self.device}: {len(self.corpus.talkers)} talkers, {len(self.corpus)} sounds")

    def _build(self):
        options = self.options
        self.frontend = MelFrontend().to(self.device)
        self.mask = MaskOut()
        self.net = TalkerNet(options.width).to(self.device)
        self.loss = AngularLoss(len(self.corpus.talkers), factor=options.factor,
                                margin=options.margin, easy=options.easy).to(self.device)
        groups = []
        for module, decay in ((self.net, 2e-5), (self.loss, 2e-4)):
            groups.append({"params": module.parameters(), "weight_decay": decay})
        self.adam = Adam(groups, lr=options.rate)
        self.plan = self._make_plan()

    def _make_plan(self):
        options, steps = self.options, len(self.batches)
        lowest = options.rate * 1e-3
        if options.plan != "cosine":
            climb = max(options.period * steps // 2, 1)
            return CyclicLR(self.adam, lowest, options.rate, step_size_up=climb,
                            cycle_momentum=False, mode="triangular2")
        return CosineAnnealingLR(self.adam, T_max=steps * options.passes, eta_min=lowest)

    def _stateful(self):
        return {"net": self.net, "loss": self.loss, "adam": self.adam, "plan": self.plan}

    def _restore(self, path):
        stored = torch.load(path, weights_only=False, map_location=self.device)
        self.start = stored["pass"] + 1
        for key, thing in self._stateful().items():
            thing.load_state_dict(stored[key])

    def _store(self, number):
        stored = {"pass": number, "width": self.options.width, "talkers": self.corpus.talkers}
        for key, thing in self._stateful().items():
            stored[key] = thing.state_dict()
        torch.save(stored, self.options.target / f"pass{number:03d}.pt")

    def _step(self, samples, targets):
        targets = targets.to(self.device)
        maps = self.mask(self.frontend(samples.to(self.device)))
        correct, loss = self.loss(targets, self.net(maps))
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        self.adam.step()
        self.plan.step()
        return correct.item(), loss.item()

    def _one_pass(self):
        self.net.train()
        results = [self._step(samples, targets) for samples, targets in self.batches]
        correct, losses = zip(*results)
        return sum(correct) / len(correct), sum(losses) / len(losses)

    def run(self):
        self.options.target.mkdir(exist_ok=True, parents=True)
        number = self.start
        while number < self.options.passes:
            correct, loss = self._one_pass()
            rate = self.plan.get_last_lr()[0]
            print(f"pass {number}: accuracy {correct:.4f}, loss {loss:.4f}, rate {rate:.2e}")
            self._store(number)
            number += 1


OPTIONS = [
    ("--seed", int, 0),
    ("--processes", int, 4),
    ("--passes", int, 40),
    ("--batch", int, 128),
    ("--duration", float, 2.0),
    ("--width", int, 512),
    ("--rate", float, 1e-3),
    ("--period", int, 8),
    ("--factor", float, 30.0),
    ("--margin", float, 0.2),
    ("--target", pathlib.Path, pathlib.Path("runs/timbre")),
    ("--restart-from", pathlib.Path, None),
    ("--noises", str, None),
]

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    for flag, kind, default in OPTIONS:
        parser.add_argument(flag, type=kind, default=default)
    parser.add_argument("--plan", default="cyclic", choices=("cyclic", "cosine"))
    parser.add_argument("--easy", action="store_true")
    Fitter(parser.parse_args()).run()
