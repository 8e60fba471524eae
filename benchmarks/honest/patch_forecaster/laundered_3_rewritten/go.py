"""Usage: python go.py SHEET.csv [name=value ...]

For instance: python go.py load.csv net=mosaic rivals=yes penalty=tilt levels=0.1,0.5,0.9
"""
import json
import pathlib
import sys
from types import SimpleNamespace

import torch

from grid import Grid
from loop import Apprentice, judge
from maps import Mosaic, Rulers, echo

WISHES = dict(
    net="mosaic", rivals=False, penalty="square", levels=(0.1, 0.25, 0.5, 0.75, 0.9),
    memory=336, reach=96, cycle=24,
    tile=16, hop=8, width=128, views=8, layers=3, blank=0.2, summary="all",
    rounds=50, patience=8, batch=64, pace=1e-3, shrink=1e-4, rein=1.0,
    folder=pathlib.Path("almanac"), seed=0,
)
ALLOWED = {"net": {"mosaic", "rulers", "echo"}, "penalty": {"square", "distance", "tilt"}, "summary": {"all", "mean"}}


def understood(words):
    wishes = dict(WISHES)
    for word in words:
        name, _, text = word.partition("=")
        if name not in wishes:
            sys.exit(f"{name}: no such setting; there are {', '.join(wishes)}")
        before = WISHES[name]
        if isinstance(before, bool):
            wishes[name] = text.lower() in ("yes", "true", "1", "")
        elif isinstance(before, tuple):
            wishes[name] = tuple(float(part) for part in text.split(","))
        else:
            wishes[name] = type(before)(text)
        if wishes[name] not in ALLOWED.get(name, [wishes[name]]):
            sys.exit(f"{name} is one of {', '.join(sorted(ALLOWED[name]))}")
    return SimpleNamespace(**wishes)


def contender(name, wish, labels, levels):
    size = dict(memory=wish.memory, reach=wish.reach, levels=levels)
    match name:
        case "mosaic":
            return Mosaic(labels, **size, tile=wish.tile, hop=wish.hop, width=wish.width, views=wish.views,
                          layers=wish.layers, blank=wish.blank, summary=wish.summary)
        case "rulers":
            return Rulers(**size)
        case "echo":
            return echo(**size, cycle=wish.cycle)


def contest(sheet, wish):
    """Yield (name, marks) of each contender, having stored those that could learn."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    grid = Grid(sheet, wish.memory, wish.reach)
    levels = torch.tensor(sorted(wish.levels) if wish.penalty == "tilt" else [0.5], device=device)
    jumpiness = grid.jumpiness(wish.cycle)

    line_up = dict.fromkeys([wish.net] + ["rulers", "echo"] * wish.rivals)
    for name in line_up:
        net = contender(name, wish, len(grid.labels), len(levels))
        if isinstance(net, torch.nn.Module):
            print("now learning:", name)
            net.to(device)
            Apprentice(net, grid, wish, levels, device).graduate()
            keep = {"net": net.state_dict(), "labels": grid.labels, "levels": levels.tolist(),
                    "mu": grid.mu, "sigma": grid.sigma}
            torch.save(keep, wish.folder / f"{name}.pt")
        yield name, judge(net, grid, wish.batch, levels, jumpiness, device)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sheet, *words = sys.argv[1:]
    wish = understood(words)
    torch.manual_seed(wish.seed)
    wish.folder.mkdir(parents=True, exist_ok=True)
    marks = dict(contest(sheet, wish))
    for name, row in marks.items():
        print(name.ljust(10), *(f"{mark} {value:.4f}" for mark, value in row.items()), sep="  ")
    with (wish.folder / "marks.json").open("w") as stream:
        json.dump(marks, stream, indent=2)
