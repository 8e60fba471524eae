"""Tell a story from an opening."""

from argparse import ArgumentParser
from dataclasses import dataclass

import torch

from story_model import Settings, StoryCache, StoryModel
from wordpieces import WordPieces

NEVER = float("-inf")


@dataclass
class Taste:
    """How the next piece is drawn."""

    temperature: float = 0.8
    repetition: float = 1.1
    candidates: int = 50
    coverage: float = 0.95

    def damp(self, scores, present):
        damped = torch.where(scores <= 0, scores * self.repetition, scores / self.repetition)
        return torch.where(present, damped, scores)

    def restrict(self, scores):
        if self.candidates > 0:
            best, _ = torch.topk(scores, k=min(scores.size(-1), self.candidates), dim=-1)
            scores = torch.where(scores < best[..., -1].unsqueeze(-1), NEVER, scores)
        if self.coverage >= 1:
            return scores
        descending, index = torch.sort(scores, dim=-1, descending=True)
        probability = torch.softmax(descending, dim=-1)
        outside = torch.cumsum(probability, dim=-1) - probability >= self.coverage
        descending[outside] = NEVER
        return torch.empty_like(scores).scatter_(-1, index, descending)

    def choose(self, scores, present, generator):
        scores = self.damp(scores, present)
        if self.temperature == 0:
            return torch.argmax(scores, dim=-1, keepdim=True)
        probability = torch.softmax(self.restrict(scores / self.temperature), dim=-1)
        return torch.multinomial(probability, num_samples=1, generator=generator)


class Teller:
    def __init__(self, model, stop, taste=None, generator=None):
        self.model = model
        self.stop = stop
        self.taste = taste or Taste()
        self.generator = generator

    @torch.inference_mode()
    def tell(self, numbers, limit):
        """Lengthen numbers (batch, time) by up to limit pieces; ended rows are padded with the stop piece."""
        rows, length = numbers.shape
        settings, device = self.model.settings, numbers.device
        present = torch.zeros((rows, settings.pieces), dtype=torch.bool, device=device)
        present.scatter_(1, numbers, True)
        ended = torch.zeros((rows, 1), dtype=torch.bool, device=device)
        cache = StoryCache(self.model, rows)
        told = [numbers]
        while len(told) <= min(limit, settings.window - length) and not ended.all():
            scores = self.model(told[-1], cache)[:, -1, :].to(torch.float32)
            piece = self.taste.choose(scores, present, self.generator)
            piece = torch.where(ended, self.stop, piece)
            present.scatter_(1, piece, True)
            ended = ended | (piece == self.stop)
            told.append(piece)
        return torch.cat(told, dim=1)


def read_arguments():
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--pieces", default="pieces.json")
    parser.add_argument("--opening", default="")
    parser.add_argument("--limit", default=200, type=int)
    parser.add_argument("--temperature", default=0.8, type=float)
    parser.add_argument("--candidates", default=50, type=int)
    parser.add_argument("--coverage", default=0.95, type=float)
    parser.add_argument("--repetition", default=1.1, type=float)
    parser.add_argument("--seed", default=0, type=int)
    return parser.parse_args()


def main():
    options = read_arguments()
    stored = torch.load(options.model, weights_only=True, map_location="cpu")
    model = StoryModel(Settings(**stored["settings"]))
    model.load_state_dict(stored["model"])
    pieces = WordPieces.from_file(options.pieces)
    taste = Taste(options.temperature, options.repetition, options.candidates, options.coverage)
    teller = Teller(model, pieces.stop, taste, torch.Generator().manual_seed(options.seed))
    opening = torch.tensor(pieces.encode(options.opening, add_start=True)).unsqueeze(0)
    print(pieces.decode(teller.tell(opening, options.limit).squeeze(0).tolist()))


if __name__ == "__main__":
    main()
