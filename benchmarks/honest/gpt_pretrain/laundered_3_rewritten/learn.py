"""Teach the network a corpus: `python learn.py corpus=train.bin exam=val.bin`."""
import itertools
import os
import sys

import torch

import descent
import knobs
import tape
import tower

HALVES = {"fp16": torch.float16, "bf16": torch.bfloat16}


def thinking(place, digits):
    half = HALVES.get(digits) if place == "cuda" else None
    return torch.autocast(place, dtype=half or torch.bfloat16, enabled=half is not None)


def slopes_of(weights, net, fresh, k, place, zoom):
    """Summed (scaled) slopes and the mean astonishment of all slices of one turn."""
    names = list(weights)
    total, heard = None, 0.0
    for _ in range(k.slices):
        with thinking(place, k.digits):
            pain = tower.astonishment(weights, net, fresh(), learning=True) / k.slices
        found = torch.autograd.grad(pain * zoom, [weights[name] for name in names])
        total = found if total is None else [a + b for a, b in zip(total, found)]
        heard = heard + pain.detach()
    return dict(zip(names, total)), heard


@torch.no_grad()
def sit_exam(weights, net, fresh, k, place):
    marks = torch.zeros(k.exam_size, dtype=torch.float64)
    for i in range(k.exam_size):
        with thinking(place, k.digits):
            marks[i] = tower.astonishment(weights, net, fresh(), learning=False).item()
    return marks.mean().item()


def wake(k, place, cautious):
    if k.resume:
        kept = torch.load(os.path.join(k.home, "latest"), map_location=place)
        for tensor in kept["weights"].values():
            tensor.requires_grad_()
        return kept
    net = {key: getattr(k, key) for key in knobs.NET}
    weights = tower.newborn(net, place)
    state = descent.fresh_state(weights, cautious)
    return {"net": net, "weights": weights, "state": state, "turn": 0, "record": float("inf")}


def keep(life, home, name):
    detached = {key: w.detach() for key, w in life["weights"].items()}
    torch.save(dict(life, weights=detached), os.path.join(home, name))


def school(k):
    torch.manual_seed(k.luck)
    torch.backends.cuda.matmul.allow_tf32 = True
    place = "cuda" if torch.cuda.is_available() else "cpu"
    cautious = place == "cuda" and k.digits == "fp16"
    os.makedirs(k.home, exist_ok=True)

    life = wake(k, place, cautious)
    net, weights, state = life["net"], life["weights"], life["state"]
    shrunk = {name for name, (_, _, yes) in tower.blueprint(net).items() if yes}
    lesson = tape.excerpts(k.corpus, net["reach"], k.bundle, place)
    exam = tape.excerpts(k.exam, net["reach"], k.bundle, place) if k.exam else None
    speed = descent.pace(k)
    size = sum(map(torch.numel, weights.values()))
    print(f"turn {life['turn']}, {size / 1e6:.1f}M weights, {place}")

    for turn in itertools.count(life["turn"]):
        if turn >= k.until:
            break
        slopes, heard = slopes_of(weights, net, lesson, k, place, state["zoom"])
        descent.walk(weights, slopes, state, speed(turn), shrunk, k.shrink, k.leash, cautious)
        life["turn"] = turn + 1

        if life["turn"] % k.news_gap == 0:
            print(f"{life['turn']:>7}  learning {float(heard):.4f}")
        if life["turn"] % k.exam_gap and life["turn"] != k.until:
            continue
        if exam:
            mark = sit_exam(weights, net, exam, k, place)
            print(f"{life['turn']:>7}  exam     {mark:.4f}")
            if mark < life["record"]:
                life["record"] = mark
                keep(life, k.home, "top")
        keep(life, k.home, "latest")


if __name__ == "__main__":
    wanted = knobs.read(knobs.LEARN)
    if not wanted.corpus:
        sys.exit("corpus=<file> is missing")
    if wanted.digits not in {"fp32", *HALVES}:
        sys.exit("digits is one of fp32, fp16, bf16")
    school(wanted)
