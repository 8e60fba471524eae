"""The player: brain, memory of the readings, and the way both get better."""
import math

import numpy as np
import torch

from . import brain
from .moments import Moments, Unchanged


class Player:
    def __init__(self, sight, levers, *, hidden=256, speed=3e-4, drag=0.005, standardise=True,
                 warmth=0.2, device="cpu"):
        self.device, self.drag, self.levers = torch.device(device), drag, levers
        self.readings = Moments(sight) if standardise else Unchanged()
        self.actor = brain.new_stack(1, (sight, hidden, hidden, 2 * levers), self.device)
        self.critics = brain.new_stack(2, (sight + levers, hidden, hidden, 1), self.device)
        self.ghosts = [tuple(t.detach().clone() for t in layer) for layer in self.critics]
        self.log_warmth = torch.full([], math.log(warmth), device=self.device, requires_grad=True)
        # one optimiser for all: it passes over every tensor without a gradient
        self.adam = torch.optim.Adam(
            [*brain.leaves(self.actor), *brain.leaves(self.critics), self.log_warmth], lr=speed)

    def _nudge(self, tensors, slopes):
        for tensor, slope in zip(tensors, slopes):
            tensor.grad = slope
        self.adam.step()
        for tensor in tensors:
            tensor.grad = None

    def _down(self, stack, loss):
        tensors = brain.leaves(stack)
        self._nudge(tensors, torch.autograd.grad(loss, tensors))
        return loss.item()

    def _tensor(self, array):
        return torch.tensor(np.ascontiguousarray(array), device=self.device)

    def decide(self, readings, *, steady):
        sight = self._tensor(self.readings.standardise(readings))
        with torch.inference_mode():
            levers = torch.tanh(brain.lean(self.actor, sight)[0]) if steady else brain.pull(self.actor, sight)[0]
        return levers.cpu().numpy()

    def study(self, records, factors):
        """Go through one set of records; how surprised we were by each, and some figures."""
        now, then = (self._tensor(self.readings.standardise(records[f])) for f in ("seen", "then"))
        done, income, factor = (self._tensor(records[f]) for f in ("done", "income", "factor"))
        warmth = math.exp(self.log_warmth.item())

        with torch.no_grad():
            ahead, ahead_log = brain.pull(self.actor, then)
            lower = brain.worth(self.ghosts, then, ahead).min(dim=0).values
            aim = income + factor * (lower - warmth * ahead_log)

        guesses = brain.worth(self.critics, now, done)
        off = guesses - aim
        judged = self._down(self.critics, torch.einsum("n,kn,kn->", self._tensor(factors), off, off) / len(aim))

        tried, tried_log = brain.pull(self.actor, now)
        lower = brain.worth(self.critics, now, tried).min(dim=0).values
        pulled = self._down(self.actor, (warmth * tried_log - lower).mean())

        # the loss is -log_warmth * mean(log density - levers): its slope needs no graph
        mean_log = tried_log.detach().mean()
        self._nudge([self.log_warmth], [self.levers - mean_log])

        with torch.no_grad():
            for ghost, critic in zip(brain.leaves(self.ghosts), brain.leaves(self.critics)):
                ghost += self.drag * (critic - ghost)

        figures = dict(judged=judged, pulled=pulled, warmth=warmth, spread=-mean_log.item(),
                       guess=guesses[0].mean().item())
        return off.detach().abs().sum(dim=0).div(2).cpu().numpy(), figures

    def freeze(self):
        return {"tensors": [t.detach().cpu() for t in self._tensors()],
                "adam": self.adam.state_dict(),
                "sums": torch.from_numpy(self.readings.sums.copy())}

    def thaw(self, frozen):
        with torch.no_grad():
            for mine, theirs in zip(self._tensors(), frozen["tensors"]):
                mine.copy_(theirs)
        self.adam.load_state_dict(frozen["adam"])
        self.readings.sums = frozen["sums"].cpu().numpy()

    def _tensors(self):
        stacks = self.actor, self.critics, self.ghosts
        return [t for stack in stacks for t in brain.leaves(stack)] + [self.log_warmth]
