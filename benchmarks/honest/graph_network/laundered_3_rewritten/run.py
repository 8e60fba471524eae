"""Usage: run.py FILE [name=value ...], with the names of plan.Plan."""

import sys
from dataclasses import asdict
from io import BytesIO

import numpy as np
import torch
from torch.nn.utils import clip_grad_norm_

from corpus import Corpus
from estimator import Estimator
from grading import report_card, surprise
from partition import by_chance, by_family
from plan import from_words


def portions(row, size):
    return np.array_split(row, range(size, len(row), size)) if len(row) else []


def answer(model, corpus, members, plan):
    """Logits and truth of the members, in their order."""
    model.eval()
    with torch.inference_mode():
        pieces = [
            model(corpus.cut(portion).on(plan.accelerator)).cpu() for portion in portions(members, plan.molecules_per_step)
        ]
    return torch.cat(pieces), torch.from_numpy(corpus.truth[members])


def sweeps(model, corpus, members, plan, dice):
    """Learn for ever; after each pass over the members give the mean surprise."""
    drawn, fixed = model.shrinkable()
    optimizer = torch.optim.AdamW(drawn, lr=plan.pace, weight_decay=plan.shrinkage)
    optimizer.add_param_group({"params": fixed, "weight_decay": 0.0})
    while True:
        bill = []
        for portion in portions(members[dice.permutation(len(members))], plan.molecules_per_step):
            rectangle = corpus.cut(portion).on(plan.accelerator)
            model.train().zero_grad()
            price = surprise(model(rectangle), rectangle.truth)
            price.backward()
            clip_grad_norm_(model.parameters(), plan.gradient_limit)
            optimizer.step()
            bill.append((price.item(), len(portion)))
        prices, sizes = zip(*bill)
        yield float(np.average(prices, weights=sizes))


def freeze(model):
    box = BytesIO()
    torch.save(model.state_dict(), box)
    return box


def learn(model, corpus, learnt, tuned, plan, dice):
    """Stop when the best mark is `hope` sweeps old; give it with the weights of that sweep."""
    marks, best = [], None
    for price, _ in zip(sweeps(model, corpus, learnt, plan, dice), range(plan.sweeps)):
        logits, truth = answer(model, corpus, tuned, plan)
        mark, _ = report_card(logits, truth)
        marks.append(-np.inf if np.isnan(mark) else mark)
        print(f"sweep {len(marks)}: learnt {price:.4f}, tuned {surprise(logits, truth):.4f}, ordering {mark:.4f}")
        champion = int(np.argmax(marks))
        if champion == len(marks) - 1 and np.isfinite(marks[-1]):
            best = freeze(model)
        age = len(marks) - 1 - champion if best else len(marks)
        if age >= plan.hope:
            break
    if best is None:
        raise SystemExit("the tuning pile cannot be graded: no task has both answers in it")
    best.seek(0)
    model.load_state_dict(torch.load(best, weights_only=True))
    return max(marks)


def main(words):
    if not words:
        raise SystemExit(__doc__)
    plan = from_words(words)
    if plan.accelerator == "auto":
        plan = from_words([*words, "accelerator=" + ("cuda" if torch.cuda.is_available() else "cpu")])
    torch.manual_seed(plan.entropy)
    dice = np.random.default_rng(plan.entropy)

    corpus = Corpus.read(plan.source)
    count = len(corpus.lengths)
    quotas = count * np.array([plan.train_share, plan.tune_share, 1 - plan.train_share - plan.tune_share])
    piles = by_family(corpus.family, quotas, dice) if plan.keep_families else by_chance(count, quotas, dice)
    print("learn, tune, examine:", *map(len, piles))
    if min(map(len, piles)) == 0:
        raise SystemExit("a pile is empty: change the shares or keep_families")
    learnt, tuned, examined = piles

    model = Estimator(plan, corpus.truth.shape[1]).to(plan.accelerator)
    best = learn(model, corpus, learnt, tuned, plan, dice)
    mark, marks = report_card(*answer(model, corpus, examined, plan))
    print(f"tuned {best:.4f}, examined {mark:.4f}, each {np.round(marks, 3)}")
    torch.save({"plan": asdict(plan), "weights": model.state_dict(), "tuned": best, "examined": float(mark)}, plan.target)


if __name__ == "__main__":
    main(sys.argv[1:])
