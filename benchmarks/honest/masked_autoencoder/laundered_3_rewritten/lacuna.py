"""Lacuna: learn to see by filling gaps.

    python lacuna.py fill  root=PICTURES [key=value ...]              learn without labels
    python lacuna.py judge root=PICTURES saved=FILE [key=value ...]   learn labels (fixed=yes: last layer only)
    python lacuna.py paint saved=FILE [key=value ...] PICTURE ...     show filled gaps
"""
import json
import random
import sys
from pathlib import Path
from statistics import fmean

import torch
import torch.nn.functional as F
from torchvision.utils import save_image

from album import bright, hang, stream, unbright
from blueprint import EYE, Plan, bundles, judge_slots, painter_slots, raise_network
from exercise import Gym
from sight import complete, misfit, verdict

DEFAULTS = {
    "fill": dict(root="", out="kept/lacuna.pt", laps=400, rise=20, handful=256, rate=1.5e-4, shrink=0.05,
                 gap=0.75, level=True, edge=96, tile=8, helpers=4, every=20, seed=0),
    "judge": dict(root="", saved="", out="kept/judge.pt", laps=50, rise=5, handful=256, rate=0.0, shrink=0.05,
                  ease=0.75, blend=0.8, doubt=0.1, helpers=4, fixed=False),
    "paint": dict(saved="", out="filled.png", seed=0),
}
WHERE = "cuda" if torch.cuda.is_available() else "cpu"


def understand(words: list[str]) -> tuple[str, dict, list[str]]:
    if not words or words[0] not in DEFAULTS:
        sys.exit(__doc__)
    task, chosen, loose = words[0], dict(DEFAULTS[words[0]]), []
    for word in words[1:]:
        key, equals, text = word.partition("=")
        if not equals:
            loose.append(word)
        elif key not in chosen:
            sys.exit(f"{task} knows no {key}; it knows {', '.join(chosen)}")
        elif isinstance(chosen[key], bool):
            chosen[key] = text.lower() in ("yes", "true", "1", "on")
        else:
            chosen[key] = type(chosen[key])(text)
    return task, chosen, loose


def keep(out: str, plan: Plan, table: dict, **more) -> None:
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    torch.save({"plan": plan._asdict(), "table": {k: v.detach().cpu() for k, v in table.items()}, **more}, out)


def fetch(saved: str) -> tuple[Plan, dict]:
    found = torch.load(saved, map_location="cpu")
    return Plan(**found["plan"]), found["table"]


def tell(**facts) -> None:
    print(json.dumps(facts), flush=True)


def fill(root, out, laps, rise, handful, rate, shrink, gap, level, edge, tile, helpers, every, seed):
    torch.manual_seed(seed)
    plan = Plan(edge=edge, tile=tile, gap=gap, level=level)
    slots = list(painter_slots(plan))
    table = raise_network(slots, WHERE)
    batches = stream(Path(root), edge, "fill", handful, helpers)
    optimiser = torch.optim.AdamW(bundles(slots, table, rate * handful / 256, shrink), betas=(0.9, 0.95))
    gym = Gym(optimiser, WHERE, rise * len(batches), laps * len(batches))

    for lap in range(1, laps + 1):
        cost = fmean(gym.rounds(batches, lambda raw, _: misfit(plan, table, bright(raw, WHERE))))
        tell(lap=lap, cost=round(cost, 4), rate=gym.pace.get_last_lr()[0])
        if lap in range(every, laps, every) or lap == laps:
            keep(out, plan, table, lap=lap)


def judge(root, saved, out, laps, rise, handful, rate, shrink, ease, blend, doubt, helpers, fixed):
    plan, known = fetch(saved)
    learn = stream(Path(root, "train"), plan.edge, "mild" if fixed else "wild", handful, helpers)
    exam = stream(Path(root, "val"), plan.edge, "exam", handful, helpers)
    slots = list(judge_slots(plan, len(learn.dataset.names)))
    table = raise_network(slots, WHERE, known, still=("eye/",) if fixed else ())
    norm = None
    if fixed:
        blend = doubt = 0.0
        norm = {"mean": torch.zeros(EYE.width, device=WHERE), "var": torch.ones(EYE.width, device=WHERE)}
        last = [weight for weight in table.values() if weight.requires_grad]
        optimiser = torch.optim.SGD(last, lr=rate or 0.1, momentum=0.9)
    else:
        optimiser = torch.optim.AdamW(bundles(slots, table, rate or 1e-3, shrink, ease))
    gym = Gym(optimiser, WHERE, rise * len(learn), laps * len(learn))

    def cost(raw, label):
        pixels, label = bright(raw, WHERE), label.to(WHERE)
        if blend <= 0:
            return F.cross_entropy(verdict(plan, table, pixels, norm, True), label, label_smoothing=doubt)
        # cross entropy is linear in its target: blend two costs, not two targets
        share, other = random.betavariate(blend, blend), torch.randperm(len(label), device=WHERE)
        scores = verdict(plan, table, torch.lerp(pixels[other], pixels, share), norm, True)
        own, foreign = (F.cross_entropy(scores, wanted, label_smoothing=doubt) for wanted in (label, label[other]))
        return share * own + (1 - share) * foreign

    @torch.no_grad()
    def marks():
        for raw, label in exam:
            yield from verdict(plan, table, bright(raw, WHERE), norm).argmax(1).cpu().eq(label).tolist()

    best = 0.0
    for lap in range(1, laps + 1):
        price = fmean(gym.rounds(learn, cost))
        right = fmean(map(float, marks()))
        if right > best:
            best = right
            keep(out, plan, table, norm=norm, right=right)
        tell(lap=lap, cost=round(price, 4), right=round(right, 4), best=round(best, 4))


def paint(saved, out, seed, pictures):
    plan, known = fetch(saved)
    torch.manual_seed(seed)
    table = raise_network(list(painter_slots(plan)), WHERE, known)
    pixels = bright(hang(pictures, plan.edge), WHERE)
    with torch.inference_mode():
        columns = (pixels, *complete(plan, table, pixels))
        sheet = torch.stack(columns, 1).view(-1, plan.bands, plan.edge, plan.edge)
        save_image(unbright(sheet), out, nrow=len(columns))
    tell(pictures=len(pictures), out=out)


def main() -> None:
    task, chosen, loose = understand(sys.argv[1:])
    missing = [key for key in ("root", "saved") if chosen.get(key) == ""]
    if task == "paint" and not loose:
        missing.append("PICTURE")
    if missing:
        sys.exit(f"{task} needs {' and '.join(missing)}")
    if task != "paint" and loose:
        sys.exit(f"{task} has no use for {loose[0]}")
    if task == "paint":
        paint(pictures=loose, **chosen)
    else:
        {"fill": fill, "judge": judge}[task](**chosen)


if __name__ == "__main__":
    main()
