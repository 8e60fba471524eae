"""The estimator: all weights of one kind are stacked over the rounds, and every molecule is a padded row."""

import torch
from torch import nn
from torch.nn import functional as F

from corpus import CHAPTERS, LINKS


def inventory(plan, tasks):
    """name: (shape, spread), where a spread of None stands for zeros and "one" for ones."""
    c, r, s = plan.channels, plan.rounds, plan.channels // plan.probes
    yield "codebook", (sum(CHAPTERS), c), len(CHAPTERS) ** -0.5
    yield "link_kind", (r, LINKS[0], c), 0.5
    yield "link_ring", (r, LINKS[1], c), 0.5
    yield "hub_birth", (c,), None
    yield "selfness", (r,), None
    for part, copies in (("cell", r), ("hub", r - 1)):
        yield f"{part}_open", (copies, c, 2 * c), (2 / c) ** 0.5
        yield f"{part}_close", (copies, 2 * c, c), (2 * c) ** -0.5
        yield f"{part}_open_shift", (copies, 2 * c), None
        yield f"{part}_close_shift", (copies, c), None
        yield f"{part}_level_scale", (copies, c), "one"
        yield f"{part}_level_shift", (copies, c), None
    if plan.collect == "mix":
        yield "mixer", (r + 1, c, c), ((r + 1) * c) ** -0.5
    yield "probe", (plan.probes, c), c**-0.5
    yield "lens", (plan.probes, c, s), c**-0.5
    width = plan.probes * s
    yield "verdict_open", (width, c), (2 / width) ** 0.5
    yield "verdict_close", (c, tasks), c**-0.5
    yield "verdict_open_shift", (c,), None
    yield "verdict_close_shift", (tasks,), None


def fill(shape, spread):
    if spread is None:
        return torch.zeros(shape)
    return torch.ones(shape) if spread == "one" else torch.empty(shape).normal_(0.0, spread)


class Tally:
    """Collects the states of the rounds as they pass; none is stored."""

    def __init__(self, mixer, how):
        self.mixer, self.how, self.total, self.seen = mixer, how, None, 0

    def note(self, state):
        if self.how == "mix":
            state = state @ self.mixer[self.seen]
        if self.total is None or self.how == "last":
            self.total = state
        else:
            self.total = self.total + state if self.how == "mix" else torch.maximum(self.total, state)
        self.seen += 1


class Estimator(nn.Module):
    def __init__(self, plan, tasks):
        super().__init__()
        self.plan = plan
        for name, shape, spread in inventory(plan, tasks):
            self.register_parameter(name, nn.Parameter(fill(shape, spread)))

    def shrinkable(self):
        """Two lists: what weight decay may touch (the normally drawn), and the rest."""
        names = {name for name, *_, spread in inventory(self.plan, 1) if isinstance(spread, float)}
        lists = [], []
        for name, weight in self.named_parameters():
            lists[name not in names].append(weight)
        return lists

    def _shake(self, signal):
        return F.dropout(signal, self.plan.noise, self.training)

    def _fold(self, part, signal, turn=...):
        opened = signal @ getattr(self, f"{part}_open")[turn] + getattr(self, f"{part}_open_shift")[turn]
        return opened.clamp(min=0) @ getattr(self, f"{part}_close")[turn] + getattr(self, f"{part}_close_shift")[turn]

    def _level(self, part, signal, turn):
        spread, middle = torch.var_mean(signal, dim=-1, correction=0, keepdim=True)
        flat = (signal - middle) * torch.rsqrt(spread + 1e-5)
        return torch.addcmul(getattr(self, f"{part}_level_shift")[turn], flat, getattr(self, f"{part}_level_scale")[turn])

    def _mail(self, state, rectangle, turn):
        """What the atoms hear from their neighbours."""
        dictionary = (self.link_kind[turn].unsqueeze(1) + self.link_ring[turn]).flatten(0, 1)
        dictionary = F.pad(dictionary, (0, 0, 0, 1))
        row = torch.arange(len(state), device=state.device).view(-1, 1, 1)
        letters = (state[row, rectangle.neighbour] + dictionary[rectangle.link]).clamp(min=0)
        return torch.einsum("maxc,max->mac", letters, rectangle.linked.to(state.dtype))

    def _examine(self, state, present):
        """Each probe weighs the atoms, and looks at their weighted mean through its own lens."""
        interest = (state @ self.probe.T).masked_fill(~present.unsqueeze(-1), -torch.inf).softmax(dim=1)
        focus = interest.transpose(1, 2) @ state
        return torch.einsum("mpc,pcs->mps", focus, self.lens).flatten(1)

    def forward(self, rectangle):
        present = rectangle.present.unsqueeze(-1)
        state = F.embedding(rectangle.code, self.codebook).sum(dim=-2)
        hub = self.hub_birth.repeat(len(state), 1)
        tally = Tally(getattr(self, "mixer", None), self.plan.collect)
        tally.note(state)
        for turn in range(self.plan.rounds):
            final = turn + 1 == self.plan.rounds
            state = state + hub.unsqueeze(1)
            heard = torch.addcmul(state + self._mail(state, rectangle, turn), state, self.selfness[turn])
            change = self._level("cell", self._fold("cell", heard, turn), turn)
            if not final:
                crowd = (state * present).sum(dim=1) + hub
                hub = hub + self._shake(self._level("hub", self._fold("hub", crowd, turn), turn).clamp(min=0))
                change = change.clamp(min=0)
            state = state + self._shake(change)
            tally.note(state)
        return self._fold("verdict", self._shake(self._examine(tally.total, rectangle.present)))
