"""Train the story model."""

import json
import math
import time
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from corpus import Corpus, measure_perplexity
from story_model import Settings, StoryModel
from wordpieces import WordPieces


class Trainer:
    def __init__(self, options):
        self.options = options
        pieces = WordPieces.from_file(options.pieces)
        self.corpus = Corpus(options.corpus, pieces)
        self.unseen = Corpus(options.unseen, pieces)
        if len(self.corpus) - 1 <= options.window:
            raise SystemExit(f"{options.corpus}: {len(self.corpus)} pieces do not fill a window of {options.window}")
        settings = Settings(
            pieces=len(pieces),
            window=options.window,
            features=options.features,
            hidden=options.hidden,
            blocks=options.blocks,
            query_heads=options.query_heads,
            shared_heads=options.shared_heads,
        )
        self.model = StoryModel(settings, options.seed).to(options.device)
        self.adam = torch.optim.AdamW(
            self.model.parameter_groups(options.weight_decay), betas=(0.9, 0.95), lr=options.learning_rate
        )
        self.generator = np.random.default_rng(options.seed)
        self.done = 0
        self.target = Path(options.target)

    def learning_rate(self):
        options, peak = self.options, self.options.learning_rate
        if self.done < options.rising:
            return peak * (self.done + 1) / options.rising
        falling = max(options.rounds - options.rising, 1)
        part = min((self.done - options.rising) / falling, 1.0)
        lowest = peak * options.lowest
        return lowest + (peak - lowest) * (1 + math.cos(math.pi * part)) / 2

    def backward(self):
        """Accumulate gradients over the parts of one round; the mean loss."""
        options, losses = self.options, []
        self.adam.zero_grad()
        while len(losses) < options.parts:
            inputs, following = self.corpus.batch(self.generator, options.rows, options.window)
            with torch.autocast(device_type=options.device, dtype=torch.bfloat16, enabled=options.bfloat16):
                loss = self.model.losses(inputs.to(options.device), following.to(options.device))
                loss = loss.mean() / options.parts
            loss.backward()
            losses.append(loss.item())
        return sum(losses)

    def round(self):
        rate = self.learning_rate()
        for group in self.adam.param_groups:
            group.update(lr=rate)
        loss = self.backward()
        gradient = torch.nn.utils.clip_grad_norm_(self.model.parameters(), max_norm=self.options.clip)
        self.adam.step()
        self.done += 1
        return loss, gradient.item(), rate

    def store(self):
        unfinished = self.target.with_name(self.target.name + ".new")
        torch.save(
            dict(
                settings=asdict(self.model.settings),
                model=self.model.state_dict(),
                adam=self.adam.state_dict(),
                generator=json.dumps(self.generator.bit_generator.state),
                done=self.done,
            ),
            unfinished,
        )
        unfinished.replace(self.target)

    def resume(self):
        if not self.target.exists():
            return
        stored = torch.load(self.target, weights_only=True, map_location="cpu")
        self.done = stored["done"]
        self.generator.bit_generator.state = json.loads(stored["generator"])
        self.model.load_state_dict(stored["model"])
        self.adam.load_state_dict(stored["adam"])

    def check(self):
        options = self.options
        perplexity = measure_perplexity(self.model, self.unseen, options.stride, options.device)
        print(f"round {self.done}: perplexity {perplexity:.3f} on {self.unseen.path}")
        self.store()

    def train(self):
        options = self.options
        if options.resume:
            self.resume()
        size = sum(map(torch.numel, self.model.parameters()))
        print(f"{size:,} weights, {len(self.corpus):,} pieces of text, {self.done} rounds done before")
        started = time.time()
        while self.done < options.rounds:
            loss, gradient, rate = self.round()
            if self.done % options.tell_every == 0:
                seconds = time.time() - started
                print(f"round {self.done}: loss {loss:.4f}, gradient {gradient:.2f}, rate {rate:.2e}, {seconds:.0f} s")
            if self.done == options.rounds or self.done % options.check_every == 0:
                self.check()


def read_arguments():
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("unseen")
    parser.add_argument("--pieces", default="pieces.json")
    parser.add_argument("--target", default="story.pt")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--bfloat16", action="store_true")

    shape = parser.add_argument_group("shape of the model")
    shape.add_argument("--window", default=1024, type=int)
    shape.add_argument("--features", default=512, type=int)
    shape.add_argument("--hidden", default=1408, type=int)
    shape.add_argument("--blocks", default=8, type=int)
    shape.add_argument("--query-heads", default=8, type=int)
    shape.add_argument("--shared-heads", default=2, type=int)

    course = parser.add_argument_group("course of the training")
    course.add_argument("--rounds", default=20000, type=int)
    course.add_argument("--rising", default=500, type=int)
    course.add_argument("--rows", default=16, type=int)
    course.add_argument("--parts", default=4, type=int)
    course.add_argument("--learning-rate", default=6e-4, type=float)
    course.add_argument("--lowest", default=0.05, type=float)
    course.add_argument("--weight-decay", default=0.1, type=float)
    course.add_argument("--clip", default=1.0, type=float)
    course.add_argument("--stride", default=256, type=int)
    course.add_argument("--tell-every", default=20, type=int)
    course.add_argument("--check-every", default=1000, type=int)
    course.add_argument("--seed", default=0, type=int)
    return parser.parse_args()


if __name__ == "__main__":
    Trainer(read_arguments()).train()
