"""python run.py [--resume FILE] [--set key=value ...]"""

import argparse
import csv
import pathlib
import time

import gymnasium as gym
import torch
from laws import law_for
from settings import make_settings
from tape import player
from towers import Towers

READ = ("obs", "action", "logp", "worth", "fresh", "gain", "goal")


def hinge(x, around, band):
    """x, held within `band` of `around`."""
    return torch.minimum(torch.maximum(x, around - band), around + band)


def criterion(settings, law):
    cfg = settings.loss
    start, stop = cfg.explore

    def measure(net, part, memory, progress):
        seen = net(part["obs"], part["fresh"], memory)
        logp, entropy = law.score(seen.out, net.log_scale, part["action"])
        gain = part["gain"]
        gain = (gain - gain.mean()) / (gain.std() + 1e-8)
        step = logp - part["logp"]
        odds = torch.exp(step)
        held = hinge(odds, torch.ones_like(odds), cfg.band)
        actor = torch.maximum(-gain * odds, -gain * held).mean()
        both = torch.stack([seen.worth, hinge(seen.worth, part["worth"], cfg.critic_band)])
        critic = (both - part["goal"]).square().amax(0).mean() / 2
        explore = torch.lerp(torch.tensor(start), torch.tensor(stop), progress)
        total = actor + cfg.critic * critic - explore * entropy.mean()
        kl = (torch.expm1(step) - step).mean()
        record = torch.stack([actor, critic, entropy.mean(), kl, (odds != held).float().mean()]).tolist()
        return total, dict(zip(("actor", "critic", "entropy", "kl", "held"), record))

    return measure


def deal(tape, memory, splits, whole):
    """Shuffled columns of the tape; a column is a lane if `whole`, otherwise one tick of one lane."""
    tracks = {k: tape.tracks[k] for k in READ}
    if not whole:
        tracks = {k: v.reshape(1, v.shape[0] * v.shape[1], *v.shape[2:]) for k, v in tracks.items()}
        memory = torch.zeros(tracks["obs"].shape[1], 0)
    order = torch.randperm(memory.shape[0])
    size = -(-len(order) // splits)
    for at in range(0, len(order), size):
        ids = order[at : at + size]
        yield {k: v[:, ids] for k, v in tracks.items()}, memory[ids]


class Experiment:
    def __init__(self, settings):
        self.settings = s = settings
        torch.manual_seed(s.task.seed)
        probe = gym.make(s.task.name)
        law = law_for(probe.action_space)
        self.net = Towers(probe.observation_space.shape[0], law, s.net)
        self.adam = torch.optim.Adam(self.net.parameters(), lr=s.opt.rate, eps=s.opt.eps)
        self.measure = criterion(s, law)
        self.play = player(s, law, s.task.seed)
        self.world = next(self.play)
        self.done = 0
        self.root = pathlib.Path(s.io.root)
        self.root.mkdir(parents=True, exist_ok=True)

    def learn(self, tape, memory):
        s, record = self.settings, {"kl": 0.0}
        progress = self.done / max(1, s.rounds - 1)
        ceiling = float("inf") if s.loss.max_kl is None else s.loss.max_kl
        for sweep in range(s.opt.sweeps):
            if sweep and record["kl"] > ceiling:
                return record
            for part, state in deal(tape, memory, s.opt.splits, s.net.recurrent):
                total, record = self.measure(self.net, part, state, progress)
                self.adam.zero_grad()
                total.backward()
                torch.nn.utils.clip_grad_norm_(self.net.parameters(), s.opt.max_norm)
                self.adam.step()
        return record

    def rounds(self):
        """Play, learn, and hand out a record of each round."""
        born = time.monotonic()
        per_round = self.settings.task.lanes * self.settings.task.ticks
        while self.done < self.settings.rounds:
            tape, memory, scores = self.play.send(self.net)
            record = self.learn(tape, memory)
            self.done += 1
            mean = sum(scores) / len(scores) if scores else float("nan")
            yield {"step": self.done * per_round, "score": mean, "s": time.monotonic() - born, **record}

    def store(self):
        parts = {"net": self.net.state_dict(), "adam": self.adam.state_dict()}
        torch.save({**parts, "done": self.done, "flat": self.settings.flat}, self.root / "state.pt")

    def resume(self, file):
        parts = torch.load(file, weights_only=True)
        self.done = parts["done"]
        for piece, name in ((self.net, "net"), (self.adam, "adam")):
            piece.load_state_dict(parts[name])


def main(argv=None):
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("--resume")
    cli.add_argument("--set", action="append", default=[], dest="changes")
    given = cli.parse_args(argv)
    experiment = Experiment(make_settings(given.changes))
    if given.resume:
        experiment.resume(given.resume)
    io, sheet = experiment.settings.io, experiment.root / "log.csv"
    for record in experiment.rounds():
        if experiment.done % io.print_each == 0:
            first = not sheet.is_file()
            with sheet.open("a", newline="") as out:
                csv.writer(out).writerows([list(record)] * first + [list(record.values())])
            print(*(f"{k} {v:.4g}" for k, v in record.items()), sep="  ")
        if experiment.done % io.store_each == 0:
            experiment.store()
    experiment.store()
    experiment.world.close()
    return experiment


if __name__ == "__main__":
    main()
