"""How pictures are corrupted step by step, and how the corruption is undone again."""
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch as th
import torch.nn as tnn
import torch.nn.functional as fn

Predictor = Callable[[th.Tensor, th.Tensor], th.Tensor]


@dataclass(frozen=True)
class CorruptionSpec:
    horizon: int = 1000
    shift: float = 0.008
    ceiling: float = 0.999
    forget_p: float = 0.1


@dataclass(frozen=True)
class RestoreSpec:
    horizon: int = 50
    push: float = 2.0
    churn: float = 0.0
    bounded: bool = True


class RaisedCosine(tnn.Module):
    """Tables that say how much picture and how much static each tick holds."""

    pure: th.Tensor
    static: th.Tensor

    def __init__(self, spec: CorruptionSpec) -> None:
        super().__init__()
        ticks = th.arange(spec.horizon + 1, dtype=th.float64) / spec.horizon
        power = th.cos((ticks + spec.shift) / (1 + spec.shift) * math.pi / 2).square()
        losses = (1.0 - power[1:] / power[:-1]).clamp(max=spec.ceiling)
        remaining = th.cumprod(1.0 - losses, dim=0)
        self.register_buffer('pure', remaining.sqrt().float(), persistent=False)
        self.register_buffer('static', (1.0 - remaining).sqrt().float(), persistent=False)

    def lookup(self, tick: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        # a negative tick means: no corruption at all
        row = tick.clamp(min=0)
        intact = tick < 0
        pure = th.where(intact, 1.0, self.pure[row])
        static = th.where(intact, 0.0, self.static[row])
        return pure.view(-1, 1, 1, 1), static.view(-1, 1, 1, 1)


class Corruption(tnn.Module):
    """Wraps the backbone with what is needed to train and to generate."""

    def __init__(
        self, backbone: tnn.Module, *, spec: CorruptionSpec | None = None, unknown: int
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.unknown = unknown
        self.spec = spec or CorruptionSpec()
        self.tables = RaisedCosine(self.spec)

    def forget(self, classes: th.Tensor) -> th.Tensor:
        gone = th.rand(classes.shape, device=classes.device) < self.spec.forget_p
        return classes.masked_fill(gone, self.unknown)

    def objective(self, picture: th.Tensor, classes: th.Tensor) -> th.Tensor:
        tick = th.randint(self.spec.horizon, device=picture.device, size=(picture.shape[0],))
        grain = th.randn_like(picture)
        pure, static = self.tables.lookup(tick)
        spoiled = pure * picture + static * grain
        velocity = pure * grain - static * picture
        return fn.mse_loss(self.backbone(spoiled, tick, self.forget(classes)), velocity)

    def pushed(self, classes: th.Tensor, *, push: float) -> Predictor:
        """Exaggerates the difference that knowing the class makes."""
        blank = th.full_like(classes, self.unknown)

        def predict(spoiled: th.Tensor, tick: th.Tensor) -> th.Tensor:
            if push == 1.0:
                return self.backbone(spoiled, tick, classes)
            doubled = self.backbone(
                spoiled.repeat(2, 1, 1, 1),
                tick.repeat(2),
                th.cat([classes, blank]),
            )
            informed, ignorant = doubled.chunk(2, dim=0)
            return th.lerp(ignorant, informed, push)

        return predict

    def retreat(
        self,
        spoiled: th.Tensor,
        *,
        how: RestoreSpec,
        earlier: th.Tensor,
        tick: th.Tensor,
        velocity: th.Tensor,
    ) -> th.Tensor:
        """One move backwards in time."""
        pure, static = self.tables.lookup(tick)
        pure_to, static_to = self.tables.lookup(earlier)
        picture = pure * spoiled - static * velocity
        if how.bounded:
            picture = picture.clamp(max=1.0, min=-1.0)
        grain = (spoiled - pure * picture) / static
        quotient = pure / pure_to
        renewed = how.churn * static_to / static * (1.0 - quotient.square()).clamp(min=0.0).sqrt()
        retained = (static_to.square() - renewed.square()).clamp(min=0.0).sqrt()
        return pure_to * picture + retained * grain + renewed * th.randn_like(spoiled)

    @th.no_grad()
    def generate(
        self, classes: th.Tensor, *, how: RestoreSpec, dims: tuple[int, int, int]
    ) -> th.Tensor:
        dev, n = classes.device, classes.shape[0]
        predict = self.pushed(classes, push=how.push)
        plan = th.linspace(self.spec.horizon - 1, -1, how.horizon + 1).round().long().tolist()
        canvas = th.randn(n, *dims, device=dev)
        for here, there in pairwise(plan):
            tick = th.full((n,), here, device=dev)
            earlier = th.full((n,), there, device=dev)
            canvas = self.retreat(
                canvas,
                how=how,
                earlier=earlier,
                tick=tick,
                velocity=predict(canvas, tick),
            )
        return canvas.clamp(max=1.0, min=-1.0)
