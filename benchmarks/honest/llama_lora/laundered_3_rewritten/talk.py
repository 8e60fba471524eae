# python talk.py base.pt overlay.pt "Say hello"
import sys
from itertools import islice, takewhile

import torch

from glow import Scratchpad, wake
from overlay import fetch, solidify
from shelf import CLOSE, VOCABULARY, question, read_back


class Chooser:
    """Turns a vector of scores into a token, remembering what was said before."""

    def __init__(self, said, size, heat=0.8, bulk=0.95, boredom=1.1):
        self.heat, self.bulk, self.boredom = heat, bulk, boredom
        self.heard = torch.bincount(said, minlength=size) > 0

    def choose(self, scores):
        bored = self.heard.float() * torch.where(scores > 0, -1.0, 1.0)
        scores = scores * self.boredom ** bored
        token = int(scores.argmax()) if self.heat <= 0 else self.spin_wheel(scores)
        self.heard[token] = True
        return token

    def spin_wheel(self, scores):
        order = scores.argsort(descending=True)
        running = (scores[order] / self.heat).softmax(0).cumsum(0)
        # a token takes part if those ahead of it fall short of the bulk
        sectors = running[:1 + int((running[:-1] < self.bulk).sum())]
        ball = torch.rand(1, device=scores.device) * sectors[-1]
        stop = int(torch.searchsorted(sectors, ball, right=True))
        return int(order[min(stop, sectors.numel() - 1)])


def speech(worm, asked, chooser):
    """Endless tokens after the one-dimensional prompt."""
    pad = Scratchpad(worm.shape, device=asked.device)
    fresh = asked
    while True:
        with torch.inference_mode():
            token = chooser.choose(worm(fresh[None], pad=pad)[0, -1].float())
        yield token
        fresh = asked.new_tensor([token])


def reply(worm, asked, most=200, stop=None, **taste):
    worm.eval()
    chooser = Chooser(asked, worm.shape["vocabulary"], **taste)
    room = max(0, min(most, worm.shape["horizon"] - asked.numel()))
    return list(takewhile(lambda token: token != stop, islice(speech(worm, asked, chooser), room)))


if __name__ == "__main__":
    network, overlay, task = sys.argv[1:4]
    creature = wake(network, vocabulary=VOCABULARY)
    fetch(creature, overlay)
    solidify(creature)
    print(read_back(reply(creature, question(task), stop=CLOSE)))
