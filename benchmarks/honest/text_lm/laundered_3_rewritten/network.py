"""The network behind Quill.

All weights live in two vectors: `bulk` (everything that decays) and `gain` (the scales of the normalisations).
A Form knows the sizes, cuts the vectors into stacks with the layer as first axis, and nothing is ever copied.
"""

import math
from typing import NamedTuple

import torch


class Form(NamedTuple):
    words: int
    wide: int = 512
    deep: int = 8
    asking: int = 8
    answering: int = 2
    inner: int = 1408
    reach: int = 1024
    slowest: float = 10000.0
    floor: float = 1e-6

    def check(self):
        one, odd = divmod(self.wide, self.asking)
        if odd or self.asking % self.answering:
            raise ValueError("sizes do not divide: wide / asking and asking / answering must be whole")
        if one & 1:
            raise ValueError("a head must have an even number of components")
        return self

    @property
    def one(self):
        return self.wide // self.asking

    def stacks(self):
        """Shape and initial spread of each stack within bulk."""
        inlet = 1 / math.sqrt(self.wide)
        quiet = 1 / math.sqrt(2 * self.deep)
        heads = (self.asking + 2 * self.answering) * self.one
        return [
            ((self.words, self.wide), 0.02),
            ((self.deep, heads, self.wide), inlet),
            ((self.deep, self.wide, self.wide), inlet * quiet),
            ((self.deep, 2 * self.inner, self.wide), inlet),
            ((self.deep, self.wide, self.inner), quiet / math.sqrt(self.inner)),
        ]


def newborn(form, seed):
    chance = torch.Generator().manual_seed(seed)
    bulk = torch.cat(
        [torch.empty(math.prod(shape)).normal_(0.0, spread, generator=chance) for shape, spread in form.stacks()]
    )
    return bulk, torch.ones((2 * form.deep + 1) * form.wide)


def cut(form, bulk):
    shapes = [shape for shape, _ in form.stacks()]
    parts = torch.split(bulk, [math.prod(shape) for shape in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes)]


def level(flow, gain, floor):
    """Bring each vector to length sqrt(width), then scale."""
    exact = flow.double() if flow.dtype is torch.float64 else flow.float()
    length = torch.linalg.vector_norm(exact, dim=-1, keepdim=True)
    size = torch.sqrt(length.pow(2) / flow.shape[-1] + floor)
    return torch.div(exact, size).type_as(flow) * gain


def clock(form, begin, end, device):
    """Cosine and sine of each hand at each time, both (time, one), each value for two neighbours."""
    hands = torch.arange(form.one, device=device) // 2 * 2
    turn = torch.exp(hands * (-math.log(form.slowest) / form.one))
    angle = torch.arange(begin, end, device=device).unsqueeze(-1) * turn
    sign = torch.tensor([-1.0, 1.0], device=device).repeat(form.one // 2)
    return torch.cos(angle), torch.sin(angle) * sign


def wind(heads, time):
    """Turn heads (batch, head, time, one) by the clock."""
    cosine, sine = time
    exact = heads.float()
    crossed = exact.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
    return torch.addcmul(exact * cosine, crossed, sine).type_as(heads)


def listen(form, flow, weight, closing, time, veil, past):
    """Attention; the queries that share a key are laid one below the other, so that one product serves them all."""
    batch, now, _ = flow.shape
    heads = torch.nn.functional.linear(flow, weight).view(batch, now, -1, form.one).transpose(1, 2)
    ask, key, value = heads.split([form.asking, form.answering, form.answering], dim=1)
    ask, key = wind(ask, time), wind(key, time)
    if past is not None:
        key, value = (torch.cat(both, dim=2) for both in zip(past, (key, value)))
    rows = batch * form.answering
    ask = ask.reshape(rows, -1, form.one)
    veil = veil.repeat(form.asking // form.answering, 1)
    match = torch.baddbmm(
        veil.to(ask.dtype), ask, key.reshape(rows, -1, form.one).mT, alpha=1 / math.sqrt(form.one)
    )
    share = torch.softmax(match, -1, dtype=torch.float32).type_as(flow)
    heard = torch.bmm(share, value.reshape(rows, -1, form.one))
    heard = heard.view(batch, form.asking, now, form.one).transpose(1, 2).reshape(batch, now, form.wide)
    return torch.nn.functional.linear(heard, closing), (key, value)


def ponder(flow, weight, closing):
    valve, load = torch.nn.functional.linear(flow, weight).chunk(2, dim=-1)
    return torch.nn.functional.linear(valve * valve.sigmoid() * load, closing)


def predict(form, bulk, gain, numbers, memory=None):
    """Scores for the next word after each number, and the memory with which the text can be continued."""
    begin = memory[0][0].shape[2] if memory else 0
    end = begin + numbers.shape[1]
    if end > form.reach:
        raise ValueError(f"{end} words are beyond the reach of {form.reach}")
    table, *stacks = cut(form, bulk)
    *pairs, last = gain.view(-1, form.wide)
    time = clock(form, begin, end, numbers.device)
    veil = torch.full((end - begin, end), -math.inf, device=numbers.device).triu_(begin + 1)
    flow = math.sqrt(form.wide) * table.index_select(0, numbers.flatten()).view(*numbers.shape, -1)
    kept = []
    layers = zip(*(stack.unbind() for stack in stacks), pairs[::2], pairs[1::2], memory or [None] * form.deep)
    for heads, outlet, twin, narrow, first, second, past in layers:
        heard, present = listen(form, level(flow, first, form.floor), heads, outlet, time, veil, past)
        flow = flow + heard
        flow = flow + ponder(level(flow, second, form.floor), twin, narrow)
        kept.append(present)
    return level(flow, last, form.floor) @ table.mT, kept


def surprisal(form, bulk, gain, lines):
    """How many nats each word of lines (batch, n + 1) but the first surprises, (batch, n)."""
    scores = predict(form, bulk, gain, lines[:, :-1])[0].float()
    truth = scores.gather(-1, lines[:, 1:, None])
    return scores.logsumexp(-1) - truth.squeeze(-1)
