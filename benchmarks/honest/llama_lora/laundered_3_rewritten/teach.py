# python teach.py lessons=train.jsonl network=base.pt [thin=8 rounds=3 ...]
import sys
from math import cos, pi
from types import SimpleNamespace

import torch

from glow import wake
from overlay import cover, store
from shelf import VOCABULARY, Shelf

CHOICES = {
    "lessons": "", "network": "", "result": "overlay.pt", "kinds": "ask,index,content,mix",
    "thin": 8, "weight": 16.0, "forget": 0.05, "rounds": 3, "rows": 4, "handfuls": 8,
    "longest": 512, "speed": 2e-4, "shrink": 0.0, "rise": 0.03, "limit": 1.0, "every": 10,
    "seed": 0,
}


def choose(words):
    chosen = dict(CHOICES)
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in CHOICES:
            sys.exit(f"cannot read {word!r}; known are {', '.join(CHOICES)}")
        chosen[key] = type(CHOICES[key])(value)
    if not chosen["lessons"]:
        sys.exit("lessons=FILE is needed")
    return SimpleNamespace(**chosen)


def speeds(top, updates, rise, least=0.1):
    """The learning rate of every update: a straight climb, then half a cosine wave."""
    climb = max(1, int(rise * updates))
    slope = [(n + 1) / climb for n in range(min(climb, updates))]
    rest = max(1, updates - climb)
    wave = [least + (1 - least) * cos(pi * n / rest / 2) ** 2 for n in range(updates - climb)]
    return [top * part for part in slope + wave]


def surprise(scores, tokens, answer):
    """Summed negative log-likelihood of the answer tokens, each seen from the one before."""
    at = answer[:, 1:]
    scores, truth = scores[:, :-1][at].float(), tokens[:, 1:][at]
    rows = torch.arange(truth.numel(), device=truth.device)
    return (scores.logsumexp(1) - scores[rows, truth]).sum()


def shorten(tensors, limit):
    norm = torch.stack([t.grad.norm() for t in tensors]).norm()
    factor = (limit / (norm + 1e-6)).clamp(max=1.0)
    for t in tensors:
        t.grad.mul_(factor)
    return norm


def number_format(gpu):
    if gpu and not torch.cuda.is_bf16_supported():
        return torch.float16
    return torch.bfloat16


def teach(o):
    torch.manual_seed(o.seed)
    gpu = torch.cuda.is_available()
    where, form = ("cuda" if gpu else "cpu"), number_format(gpu)
    worm = wake(o.network, vocabulary=VOCABULARY)
    cover(worm, kinds=o.kinds.split(","), thin=o.thin, weight=o.weight, forget=o.forget)
    worm.train().to(where)
    moving = list(worm.overlay.parameters())
    print("overlay of", format(sum(t.numel() for t in moving), ","), "numbers")

    shelf = Shelf(o.lessons, o.longest)
    per_round = sum(1 for _ in range(0, shelf.sizes.numel(), o.rows * o.handfuls))
    plan = speeds(o.speed, o.rounds * per_round, o.rise)
    adam = torch.optim.AdamW(moving, lr=o.speed, weight_decay=o.shrink)
    amplifier = torch.cuda.amp.GradScaler(enabled=form is torch.float16)

    work = ((turn, portion) for turn in range(o.rounds)
            for portion in shelf.shuffled(o.rows, o.handfuls))
    for number, (speed, (turn, portion)) in enumerate(zip(plan, work), start=1):
        adam.param_groups[0]["lr"] = speed
        divisor, total = shelf.answer_tokens(portion), 0.0
        for which in portion:
            tokens, lengths, answer = (t.to(where) for t in shelf.take(which))
            with torch.autocast(where, dtype=form, enabled=gpu):
                scores = worm(tokens, lengths)
            part = surprise(scores, tokens, answer) / divisor
            amplifier.scale(part).backward()
            total += part.item()
        amplifier.unscale_(adam)
        norm = shorten(moving, o.limit)
        amplifier.step(adam)
        amplifier.update()
        adam.zero_grad()
        if number % o.every == 0:
            print(f"[{turn}] {number} of {len(plan)}: surprise {total:.4f}, slope {norm:.2f}")
        if number % per_round == 0:
            store(worm, o.result)


if __name__ == "__main__":
    teach(choose(sys.argv[1:]))
