"""Drive: collect, learn, test, save."""
import csv
import statistics
from time import time

import gymnasium
import numpy as np
import torch

import options
from memory import make_memory
from rover import Rover, pack, unpack
from scaling import to_actuator

HEADER = ("step", "seconds", "train_return", "test_return", "test_std",
          "appraiser_cost", "driver_cost", "alpha", "entropy", "q_mean")


def open_table(path, go_on):
    fresh = not (go_on and path.exists())
    stream = open(path, "w" if fresh else "a", newline="")
    table = csv.writer(stream)
    if fresh:
        table.writerow(HEADER)
    return stream, table


def report(stream, table, values):
    table.writerow([values.get(column, "") for column in HEADER])
    stream.flush()
    words = []
    for name in values:
        value = values[name]
        words.append(f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}")
    print("  ".join(words), flush=True)


def one_run(rover, world, seed):
    o, _ = world.reset(seed=seed)
    gathered = 0.0
    while True:
        a = rover.drive(np.expand_dims(o, 0), explore=False)
        o, r, dead, cut, _ = world.step(to_actuator(world.action_space, a[0]))
        gathered += float(r)
        if dead or cut:
            return gathered


def test(rover, runs, name, first_seed):
    world = gymnasium.make(name)
    gathered = [one_run(rover, world, first_seed + k) for k in range(runs)]
    world.close()
    return statistics.fmean(gathered), statistics.pstdev(gathered)


class Session:
    """Everything that changes while the rover learns."""

    def __init__(self, opts):
        self.opts = opts
        torch.manual_seed(opts.seed)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.worlds = gymnasium.make_vec(opts.world, opts.copies, vectorization_mode="sync")
        self.space = self.worlds.single_action_space
        self.n_act = int(np.prod(self.space.shape))
        n_obs = int(np.prod(self.worlds.single_observation_space.shape))
        self.rover = Rover(self.device, n_obs, self.n_act, opts.lr, opts.width, not opts.no_whitening)
        self.memory = make_memory(opts.prioritised, n_obs=n_obs, n_act=self.n_act, slots=opts.slots,
                                  copies=opts.copies, seed=opts.seed, horizon=opts.horizon, gamma=opts.gamma)
        self.random = np.random.default_rng(opts.seed)
        self.step = 0
        self.best = float("-inf")
        self.random_until = opts.random_first
        if opts.continue_from is not None:
            self.restore()
        # a memory is never saved: fill it again before learning
        self.learn_after = self.step + opts.random_first
        self.test_at = self.step + opts.test_every
        self.credit = 0.0
        self.numbers = {}
        self.ended_scores = []
        self.scores = np.zeros(opts.copies)
        self.live = np.full(opts.copies, True)
        self.o, _ = self.worlds.reset(seed=opts.seed)
        self.rover.look(self.o)

    def restore(self):
        saved = torch.load(self.opts.continue_from, map_location=self.device)
        unpack(saved["rover"], self.rover)
        self.best = saved["best"]
        self.step = saved["step"]
        self.random_until = 0

    def save(self, improved):
        saved = dict(rover=pack(self.rover), best=self.best, step=self.step, world=self.opts.world)
        for name in ["last.pt", "best.pt"][:1 + improved]:
            torch.save(saved, self.opts.into / name)

    def collect(self):
        if self.step >= self.random_until:
            a = self.rover.drive(self.o)
        else:
            a = self.random.uniform(-1.0, 1.0, size=(self.opts.copies, self.n_act)).astype("float32")
        o2, r, dead, cut, _ = self.worlds.step(to_actuator(self.space, a))
        self.rover.look(o2)
        over = np.logical_or(dead, cut)
        # since gymnasium 1.0 the step after an end only resets: such copies are not live
        for c in range(self.opts.copies):
            if not self.live[c]:
                continue
            self.memory.push(c, a[c], self.o[c], o2[c], float(r[c]), bool(cut[c]), bool(dead[c]))
            self.scores[c] += r[c]
            if over[c]:
                self.ended_scores.append(self.scores[c])
                self.scores[c] = 0.0
        counted = int(np.count_nonzero(self.live))
        self.live = np.logical_not(over)
        self.o = o2
        self.step += counted
        self.credit = 0.0 if self.step < self.learn_after else self.credit + self.opts.ratio * counted

    def learn(self):
        done_part = min(self.step / self.opts.total, 1.0)
        beta = (1.0 - done_part) * self.opts.beta + done_part
        while self.credit >= 1.0:
            self.credit -= 1.0
            rows, batch = self.memory.sample(self.device, self.opts.batch, beta)
            misses, self.numbers = self.rover.learn(batch)
            self.memory.reprioritise(misses, rows)

    def check(self, started, stream, table):
        if self.step < self.test_at:
            return
        self.test_at += self.opts.test_every
        mean, std = test(self.rover, self.opts.test_runs, self.opts.world, 10_000 + self.opts.seed)
        trained = float(np.mean(self.ended_scores)) if self.ended_scores else float("nan")
        self.ended_scores = []
        report(stream, table, {"step": self.step, "seconds": round(time() - started, 1), "train_return": trained,
                               "test_return": mean, "test_std": std, **self.numbers})
        improved = mean > self.best
        if improved:
            self.best = mean
        self.save(improved)


def main():
    opts = options.read()
    opts.into.mkdir(exist_ok=True, parents=True)
    session = Session(opts)
    stream, table = open_table(opts.into / "log.csv", opts.continue_from is not None)
    started = time()
    while session.step < opts.total:
        session.collect()
        session.learn()
        session.check(started, stream, table)
    session.worlds.close()
    stream.close()


if __name__ == "__main__":
    main()
