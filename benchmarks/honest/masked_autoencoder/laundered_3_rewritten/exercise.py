"""The one loop that all training goes through."""
import math
from collections.abc import Callable, Iterable, Iterator

import torch
from torch.optim.lr_scheduler import LambdaLR


def hill(rise: int, whole: int) -> Callable[[int], float]:
    """Share of the full rate at each step: a ramp of `rise` steps, then the cosine's way down to nothing."""
    def share(step: int) -> float:
        if step >= rise:
            return math.cos(math.pi / 2 * (step - rise) / max(whole - rise, 1)) ** 2
        return (step + 1) / rise
    return share


class Gym:
    def __init__(self, optimiser: torch.optim.Optimizer, where: str, rise: int, whole: int):
        self.optimiser = optimiser
        self.where = where
        self.pace = LambdaLR(optimiser, hill(rise, whole))
        self.guard = torch.amp.GradScaler(where, enabled=where == "cuda")

    def half(self) -> torch.autocast:
        return torch.autocast(self.where, enabled=self.where == "cuda")

    def rounds(self, batches: Iterable, cost: Callable[..., torch.Tensor]) -> Iterator[float]:
        """Go through `batches` once and yield the cost of each step."""
        for batch in batches:
            with self.half():
                price = cost(*batch)
            amount = float(price.detach())
            if not math.isfinite(amount):
                raise ArithmeticError(f"the cost of a step is {amount}")
            self.guard.scale(price).backward()
            self.guard.step(self.optimiser)
            self.guard.update()
            self.optimiser.zero_grad(set_to_none=True)
            self.pace.step()
            yield amount
