"""Quill: `quill.py words`, `quill.py study`, `quill.py write`."""

import argparse
import pathlib

import torch

from lexicon import Lexicon, induct, recall
from study import study, unshelve
from writing import Mood, write

STUDY = dict(
    wide=512, deep=8, asking=8, answering=2, inner=1408, reach=1024, stride=256, batch=16, rounds=4, steps=20000,
    warm=500, talk=20, rest=1000, seed=0, peak=6e-4, least=0.05, decay=0.1, clip=1.0, shelf="quill.pt",
)  # fmt: skip
WRITE = dict(start="", most=200, heat=0.8, best=50, mass=0.95, novelty=1.1, seed=0)


def run_words(wish):
    texts = (pathlib.Path(name).read_text("utf-8", "replace") for name in wish.texts)
    Lexicon(induct(texts, wish.size)).keep(wish.lexicon)


def run_study(wish):
    study(wish, recall(wish.lexicon))


def run_write(wish):
    form, weights, *_ = unshelve(wish.shelf)
    lexicon = recall(wish.lexicon)
    start = torch.tensor([[lexicon.open, *lexicon.numbers(wish.start)]])
    mood = Mood(wish.heat, wish.best, wish.mass, wish.novelty)
    chance = torch.Generator().manual_seed(wish.seed)
    (line,) = write(form, weights, start, wish.most, lexicon.close, mood, chance)
    print(lexicon.text(line.tolist()))


def add(commands, name, action, positional, options):
    command = commands.add_parser(name)
    command.set_defaults(action=action)
    command.add_argument("--lexicon", default="lexicon.json")
    for title, count in positional.items():
        command.add_argument(title, nargs=count)
    for title, value in options.items():
        command.add_argument("--" + title, type=type(value), default=value)
    return command


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    add(commands, "words", run_words, {"texts": "+"}, {"size": 8192})
    learning = add(commands, "study", run_study, {"text": None, "exam": None}, STUDY)
    learning.add_argument("--device", default=("cpu", "cuda")[torch.cuda.is_available()])
    learning.add_argument("--bf16", action="store_true")
    learning.add_argument("--again", action="store_true", help="take up the run on the shelf")
    add(commands, "write", run_write, {"shelf": None}, WRITE)
    wish = parser.parse_args()
    wish.action(wish)


if __name__ == "__main__":
    main()
