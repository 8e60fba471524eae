"""Picture <-> stipple."""
from dataclasses import dataclass

import torch

import plan
from palette import Palette


@dataclass(frozen=True)
class StipplerShape:
    colours: int = 3
    planes: int = 128
    dot_size: int = 64
    dots: int = 512
    depth: int = 2


class Stippler(torch.nn.Module):
    Shape = StipplerShape
    SHRINKAGE = 4

    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        ends = shape.colours, shape.planes, shape.depth, shape.dot_size
        self.parts = torch.nn.ModuleDict({
            "eye": plan.assemble(plan.inward(*ends)),
            "palette": Palette(shape.dots, shape.dot_size),
            "hand": plan.assemble(plan.outward(*ends)),
        })

    def forward(self, pictures):
        rounding = self.parts["palette"](self.parts["eye"](pictures))
        return self.parts["hand"](rounding.values), rounding

    def stipple(self, pictures):
        with torch.inference_mode():
            labels, _ = self.parts["palette"].label(self.parts["eye"](pictures))
        return labels.clone()

    def render(self, labels):
        with torch.inference_mode():
            raw = self.parts["hand"](self.parts["palette"].paint(labels))
        return raw.clip(-1.0, 1.0)
