"""stipple.py see FOLDER    learn to stipple the pictures of a folder
stipple.py tell FOLDER   learn to tell the stipples of those pictures
stipple.py show FILE     make up new pictures
"""
import json
import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch

from album import Album, hang
from narrator import Narrator, NarratorShape
from stippler import Stippler, StipplerShape

HERE = torch.device(("cpu", "cuda")[torch.cuda.is_available()])


@dataclass
class Settings:
    home: str = "runs"
    edge: int = 64
    dots: int = 512
    closeness: float = 0.25
    batch: int = 64
    rounds: int = 50
    rate: float = 3e-4
    pictures: int = 16
    heat: float = 1.0
    shortlist: int = 0
    seed: int = 0

    @classmethod
    def parse(cls, words):
        """name=value pairs, each converted as its default is."""
        kinds = {field.name: type(field.default) for field in fields(cls)}
        given = {}
        for word in words:
            name, sign, value = word.partition("=")
            if not sign or name not in kinds:
                raise SystemExit(f"expected one of {', '.join(kinds)} as name=value, got {word!r}")
            given[name] = kinds[name](value)
        return cls(**given)

    def file(self, name):
        home = Path(self.home)
        home.mkdir(parents=True, exist_ok=True)
        return home / name


def keep(network, stem):
    stem.with_suffix(".json").write_text(json.dumps(asdict(network.shape)))
    torch.save(network.state_dict(), stem.with_suffix(".weights"))


def recall(kind, stem):
    shape = kind.Shape(**json.loads(stem.with_suffix(".json").read_text()))
    network = kind(shape)
    network.load_state_dict(torch.load(stem.with_suffix(".weights"), map_location="cpu"))
    return network.to(HERE).train(False)


def rein_in(weights, limit):
    """Shorten the whole gradient to a length of at most `limit`."""
    slopes = [w.grad for w in weights if w.grad is not None]
    length = torch.stack([slope.norm() for slope in slopes]).norm()
    factor = (limit / (length + 1e-6)).clip(max=1.0)
    for slope in slopes:
        slope.mul_(factor)


def lessons(optimiser, batches, objective, limit=None):
    """Learn from each batch in turn, yielding whatever the objective has to tell about it."""
    weights = [w for group in optimiser.param_groups for w in group["params"]]
    for pictures in batches:
        pictures = pictures.to(HERE)
        cost, news = objective(pictures)
        optimiser.zero_grad(set_to_none=True)
        cost.backward()
        if limit is not None:
            rein_in(weights, limit)
        optimiser.step()
        yield pictures, news


def see(folder, settings):
    network = Stippler(StipplerShape(dots=settings.dots)).to(HERE)
    optimiser = torch.optim.Adam(network.parameters(), settings.rate)
    batches = Album(folder, settings.edge).shuffled(settings.batch)

    def objective(pictures):
        redrawn, rounding = network(pictures)
        miss = torch.square(redrawn - pictures).mean()
        return torch.add(miss, rounding.distance, alpha=settings.closeness), (redrawn, miss, rounding)

    for turn in range(settings.rounds):
        for count, (pictures, news) in enumerate(lessons(optimiser, batches, objective)):
            redrawn, miss, rounding = news
            if not count % 100:
                print(turn, count, f"miss={miss:.4f}", f"distance={rounding.distance:.4f}",
                      f"dots={rounding.dots_in_play:.1f}", f"reseeded={rounding.reseeded}", sep="\t")
        hang(torch.cat((pictures[:8], redrawn[:8])), 8, settings.file(f"seen{turn:03}.png"))
        keep(network, settings.file("stippler"))


def tell(folder, settings):
    stippler = recall(Stippler, settings.file("stippler"))
    shape = NarratorShape(dots=stippler.shape.dots, edge=settings.edge // stippler.SHRINKAGE)
    network = Narrator(shape).to(HERE)
    optimiser = torch.optim.AdamW(network.parameters(), settings.rate, weight_decay=1e-2)
    batches = Album(folder, settings.edge).shuffled(settings.batch)

    def objective(pictures):
        surprise = network(stippler.stipple(pictures))
        return surprise, surprise.item()

    for turn in range(settings.rounds):
        mean = 0.0
        for count, (_, surprise) in enumerate(lessons(optimiser, batches, objective, limit=1.0), 1):
            mean += (surprise - mean) / count
        print(turn, f"surprise={mean:.4f}", sep="\t")
        keep(network, settings.file("narrator"))


def show(file, settings):
    torch.manual_seed(settings.seed)
    narrator = recall(Narrator, settings.file("narrator"))
    stippler = recall(Stippler, settings.file("stippler"))
    stipples = narrator.tell(settings.pictures, settings.heat, settings.shortlist)
    hang(stippler.render(stipples), int(settings.pictures ** 0.5), file)


def main(words):
    match words:
        case ["see", folder, *rest]:
            see(folder, Settings.parse(rest))
        case ["tell", folder, *rest]:
            tell(folder, Settings.parse(rest))
        case ["show", file, *rest]:
            show(file, Settings.parse(rest))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
