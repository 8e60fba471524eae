"""python -m quietlever [setting=value ...]"""
import math
import sys
import time
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
import torch

from .arcade import Arcade, trial
from .ledger import Ledger
from .player import Player

HEADINGS = "moment,clock,earned,trial,deviation,judged,pulled,warmth,spread,guess".split(",")


@dataclass
class Settings:
    machine: str = "Pendulum-v1"
    desks: int = 4
    moments: int = 500_000      # over all desks
    fumbling: int = 5_000       # moments with levers at random
    handful: int = 256
    rows: int = 1_000_000
    studies: float = 1.0        # for each moment
    gamma: float = 0.99
    horizon: int = 1
    weighted: bool = False
    correction: float = 0.4     # rises to 1 in a straight line
    standardise: bool = True
    hidden: int = 256
    speed: float = 3e-4
    trial_every: int = 10_000
    trial_games: int = 10
    folder: str = "played/quietlever"
    resume: str = ""
    seed: int = 0

    @classmethod
    def from_words(cls, words):
        given = dict(word.split("=", 1) for word in words)
        known = {f.name: f for f in fields(cls)}
        strange = given.keys() - known.keys()
        if strange:
            raise SystemExit(f"no such setting: {', '.join(sorted(strange))}")
        readers = {bool: lambda word: word.lower() in ("1", "yes", "true"), int: int, float: float, str: str}
        return cls(**{name: readers[type(known[name].default)](word) for name, word in given.items()})


def diary(path, keep):
    """A coroutine that takes dictionaries and writes them down as they come."""
    begun = time.time()
    with open(path, "a" if keep else "w") as book:
        if book.tell() == 0:
            book.write(",".join(HEADINGS) + "\n")
        while True:
            entry = yield
            entry["clock"] = round(time.time() - begun, 1)
            book.write(",".join(str(entry.get(h, "")) for h in HEADINGS) + "\n")
            book.flush()
            shown = ((h, entry[h]) for h in HEADINGS if h in entry)
            print(*(f"{h}={format(v, '.4g') if type(v) is float else v}" for h, v in shown), sep="  ", flush=True)


class Scores:
    """Score of the game under way at each desk, and those of the finished ones."""

    def __init__(self, desks):
        self.under_way, self.finished = np.zeros(desks), []

    def add(self, moment):
        self.under_way += np.where(moment.counts, moment.pay, 0.0)
        ended = moment.counts & moment.closed
        self.finished.extend(self.under_way[ended])
        self.under_way[ended] = 0.0

    def collect(self):
        finished, self.finished = self.finished, []
        return sum(finished) / len(finished) if finished else math.nan


def play(s):
    torch.manual_seed(s.seed)
    device = ("cpu", "cuda")[torch.cuda.is_available()]
    folder = Path(s.folder)
    folder.mkdir(parents=True, exist_ok=True)

    arcade = Arcade(s.machine, s.desks)
    player = Player(arcade.sight, arcade.levers, hidden=s.hidden, speed=s.speed,
                    standardise=s.standardise, device=device)
    ledger = Ledger(s.rows, arcade.sight, arcade.levers, s.desks, gamma=s.gamma, horizon=s.horizon,
                    weighted=s.weighted, seed=s.seed)
    book = diary(folder / "diary.csv", keep=bool(s.resume))
    next(book)

    begun_at, record = 0, -math.inf
    if s.resume:
        saved = torch.load(s.resume, map_location=device)
        player.thaw(saved["player"])
        begun_at, record = saved["moment"], saved["record"]
    now = begun_at
    luck, scores, figures, due = np.random.default_rng(s.seed), Scores(s.desks), {}, 0.0
    next_trial = begun_at + s.trial_every

    def choose(readings):
        if not s.resume and now < s.fumbling:
            return (2.0 * luck.random((s.desks, arcade.levers)) - 1.0).astype(np.float32)
        return player.decide(readings, steady=False)

    stream = arcade.moments(choose, player.readings.include, s.seed)
    while now < s.moments:
        moment = next(stream)
        for desk, counts in enumerate(moment.counts):
            if counts:
                ledger.enter(desk, moment.seen[desk], moment.done[desk], float(moment.pay[desk]),
                             moment.then[desk], bool(moment.dead[desk]), bool(moment.closed[desk]))
        scores.add(moment)
        fresh = int(moment.counts.sum())
        now += fresh

        # the ledger always begins empty, so nothing is studied during the first moments of a session
        due = due + s.studies * fresh if now - begun_at >= s.fumbling else 0.0
        studies, due = int(due), due % 1.0
        correction = min(1.0, s.correction + (1.0 - s.correction) * now / s.moments)
        for _ in range(studies):
            rows, records, factors = ledger.pick(s.handful, correction)
            surprise, figures = player.study(records, factors)
            ledger.surprised(rows, surprise)

        if now < next_trial:
            continue
        next_trial += s.trial_every
        mean, deviation = trial(s.machine, partial(player.decide, steady=True), s.trial_games, s.seed + 10_000)
        book.send(dict(moment=now, earned=float(scores.collect()), trial=mean, deviation=deviation, **figures))
        names = ["latest"] + ["greatest"] * (mean > record)
        record = max(record, mean)
        saved = {"player": player.freeze(), "moment": now, "record": record, "machine": s.machine}
        for name in names:
            torch.save(saved, folder / f"{name}.pt")
    arcade.shut()


if __name__ == "__main__":
    play(Settings.from_words(sys.argv[1:]))
