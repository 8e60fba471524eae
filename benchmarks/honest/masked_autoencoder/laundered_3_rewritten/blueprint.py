"""What a Lacuna network consists of.

There are no layer objects. A `Plan` says how large everything is, a generator lists every
weight as a `Slot`, and a network is nothing more than a dictionary from slot name to tensor.
"""
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import torch


class Tower(NamedTuple):
    name: str
    width: int
    storeys: int
    heads: int


class Plan(NamedTuple):
    edge: int = 96
    tile: int = 8
    bands: int = 3
    bulge: float = 4.0
    gap: float = 0.75
    level: bool = True          # compare tiles after levelling mean and contrast

    @property
    def across(self) -> int:
        return self.edge // self.tile

    @property
    def tiles(self) -> int:
        return self.across * self.across

    @property
    def pixels(self) -> int:
        return self.bands * self.tile * self.tile

    @property
    def shown(self) -> int:
        """How many tiles the network gets to see."""
        return max(int(self.tiles * (1 - self.gap)), 1)


EYE = Tower("eye", 384, 12, 6)
HAND = Tower("hand", 192, 4, 6)
SUMMIT = EYE.storeys + 1


class Slot(NamedTuple):
    name: str
    shape: tuple[int, ...]
    start: str
    height: int = SUMMIT        # 0 is next to the pixels
    shrinks: bool = False


def _affine(name: str, fan_in: int, fan_out: int, height: int, start: str = "glorot") -> Iterator[Slot]:
    yield Slot(f"{name}/w", (fan_out, fan_in), start, height, True)
    yield Slot(f"{name}/b", (fan_out,), "zeros", height)


def _norm(name: str, width: int, height: int) -> Iterator[Slot]:
    yield Slot(f"{name}/w", (width,), "ones", height)
    yield Slot(f"{name}/b", (width,), "zeros", height)


def _tower(tower: Tower, fan_in: int, bulge: float) -> Iterator[Slot]:
    name, width = tower.name, tower.width
    yield from _affine(f"{name}/door", fan_in, width, 0)
    yield Slot(f"{name}/spare", (width,), "faint", 0)
    for storey in range(tower.storeys):
        here, height = f"{name}/{storey}", storey + 1
        yield from _norm(f"{here}/calm1", width, height)
        yield from _affine(f"{here}/ask", width, 3 * width, height)
        yield from _affine(f"{here}/tell", width, width, height)
        yield from _norm(f"{here}/calm2", width, height)
        yield from _affine(f"{here}/swell", width, int(width * bulge), height)
        yield from _affine(f"{here}/press", int(width * bulge), width, height)
    yield from _norm(f"{name}/roof", width, SUMMIT)


def eye_slots(plan: Plan) -> Iterator[Slot]:
    yield from _tower(EYE, plan.pixels, plan.bulge)


def painter_slots(plan: Plan) -> Iterator[Slot]:
    yield from eye_slots(plan)
    yield from _tower(HAND, EYE.width, plan.bulge)
    yield from _affine("hand/brush", HAND.width, plan.pixels, SUMMIT)


def judge_slots(plan: Plan, names: int) -> Iterator[Slot]:
    yield from eye_slots(plan)
    yield from _affine("judge", EYE.width, names, SUMMIT, start="tiny")


def fresh(slot: Slot) -> torch.Tensor:
    match slot.start:
        case "zeros" | "ones":
            return torch.full(slot.shape, float(slot.start == "ones"))
        case "glorot":
            reach = (6.0 / sum(slot.shape)) ** 0.5
            return (2 * torch.rand(slot.shape) - 1) * reach
        case "faint":
            return 0.02 * torch.randn(slot.shape)
        case "tiny":
            return 0.01 * torch.randn(slot.shape)
    raise KeyError(slot.start)


def raise_network(slots: list[Slot], where: str, known: dict | None = None, still: tuple[str, ...] = ()) -> dict:
    """Tensors for all slots, taken from `known` where it has them; names beginning with `still` do not learn."""
    known = known or {}
    table = {}
    for slot in slots:
        value = known[slot.name] if slot.name in known else fresh(slot)
        learns = not (still and slot.name.startswith(still))
        table[slot.name] = value.detach().to(where).requires_grad_(learns)
    return table


def bundles(slots: list[Slot], table: dict, rate: float, shrink: float, ease: float = 1.0) -> list[dict]:
    """Optimiser groups. Each storey below the summit learns `ease` times as fast as the one above it."""
    piles = defaultdict(list)
    for slot in slots:
        pace = rate * ease ** (SUMMIT - slot.height)
        piles[pace, shrink * slot.shrinks].append(table[slot.name])
    return [{"params": pile, "lr": pace, "weight_decay": decay} for (pace, decay), pile in piles.items()]
