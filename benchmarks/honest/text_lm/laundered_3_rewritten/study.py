"""Study: fit the two weight vectors to a text and judge them on another."""

import io
import math
import pathlib
import time

import numpy as np
import torch

from network import Form, newborn, surprisal


def lines_of(document, length):
    """Every line of length + 1 words as a view, (lines, length + 1)."""
    return torch.as_tensor(document).unfold(0, length + 1, 1)


def slope(plan):
    """The learning rate of each step of the plan."""
    rise = np.arange(1, plan.warm + 1) / max(plan.warm, 1)
    rest = max(plan.steps - plan.warm, 1)
    fall = np.cos(np.linspace(0, np.pi / 2, rest, endpoint=False)) ** 2
    return plan.peak * np.concatenate([rise, plan.least + fall * (1 - plan.least)])[: plan.steps]


def fresh_words(total, length, stride):
    """First word of each line and how many words at its end no line before has judged."""
    last = total - 1 - length
    starts = np.append(np.arange(0, last, stride), last)
    return starts, np.diff(starts + length, prepend=0)


def bewilderment(form, weights, document, stride, at_once=8):
    length = min(form.reach, len(document) - 1)
    if stride not in range(1, length + 1):
        raise ValueError(f"the stride {stride} must be at least 1 and at most {length}")
    lines = lines_of(document, length)
    starts, fresh = fresh_words(len(document), length, stride)
    nats = 0.0
    with torch.no_grad():
        for some, new in zip(torch.as_tensor(starts).split(at_once), torch.as_tensor(fresh).split(at_once)):
            pain = surprisal(form, *weights, lines[some].to(weights[0].device))
            counts = torch.arange(length) >= length - new[:, None]
            nats += pain[counts.to(pain.device)].sum().item()
    return math.exp(nats / fresh.sum())


class Student:
    def __init__(self, form, plan):
        self.form, self.plan, self.age = form, plan, 0
        self.weights = [w.to(plan.device).requires_grad_() for w in newborn(form, plan.seed)]
        bulk, gain = self.weights
        self.adam = torch.optim.AdamW(
            [dict(params=[bulk], weight_decay=plan.decay), dict(params=[gain], weight_decay=0.0)],
            lr=plan.peak,
            betas=(0.9, 0.95),
        )

    def lesson(self, lines, rate):
        """One step. The dice are thrown anew from seed and age, so that a run taken up again sees the same lines."""
        plan = self.plan
        dice = np.random.default_rng([plan.seed, self.age])
        chosen = torch.as_tensor(dice.integers(len(lines), size=(plan.rounds, plan.batch)))
        loss = torch.zeros((), device=plan.device)
        for some in chosen:
            with torch.autocast(plan.device, torch.bfloat16, enabled=plan.bf16):
                pain = surprisal(self.form, *self.weights, lines[some].to(plan.device))
            share = pain.sum() / (pain.numel() * plan.rounds)
            share.backward()
            loss += share.detach()
        grades = [w.grad for w in self.weights]
        length = torch.linalg.vector_norm(torch.cat(grades))
        if length > plan.clip:
            torch._foreach_mul_(grades, plan.clip / float(length + 1e-6))
        for group in self.adam.param_groups:
            group["lr"] = float(rate)
        self.adam.step()
        self.adam.zero_grad()
        self.age += 1
        return loss.item(), length.item()

    def shelve(self, path):
        page = io.BytesIO()
        weights = [w.detach() for w in self.weights]
        torch.save([tuple(self.form), weights, self.adam.state_dict(), self.age], page)
        draft = pathlib.Path(f"{path}~")
        draft.write_bytes(page.getvalue())
        draft.replace(path)

    def awake(self, path):
        _, weights, adam, self.age = unshelve(path)
        for mine, stored in zip(self.weights, weights):
            mine.data.copy_(stored)
        self.adam.load_state_dict(adam)


def unshelve(path):
    form, *rest = torch.load(path, "cpu", weights_only=True)
    return (Form(*form), *rest)


def study(plan, lexicon):
    text, exam = (np.asarray(lexicon.document(path)) for path in (plan.text, plan.exam))
    form = Form(
        lexicon.size, plan.wide, plan.deep, plan.asking, plan.answering, plan.inner, plan.reach
    ).check()
    if len(text) < form.reach + 2:
        raise SystemExit(f"{plan.text} is too short for a reach of {form.reach}: it has {len(text)} words")
    student = Student(form, plan)
    if plan.again and pathlib.Path(plan.shelf).exists():
        student.awake(plan.shelf)
    lines, rates = lines_of(text, form.reach), slope(plan)
    print(f"Quill: {sum(map(len, student.weights)):,} weights read {len(text):,} words, age {student.age}")
    since = time.monotonic()
    for rate in rates[student.age :]:
        loss, length = student.lesson(lines, rate)
        if student.age % plan.talk == 0:
            spent = time.monotonic() - since
            print(f"age {student.age}: {loss:.4f} nats, gradient {length:.2f}, rate {rate:.2e}, {spent:.0f} s")
        if student.age % plan.rest == 0 or student.age == plan.steps:
            print(f"age {student.age}: exam {bewilderment(form, student.weights, exam, plan.stride):.3f}")
            student.shelve(plan.shelf)
