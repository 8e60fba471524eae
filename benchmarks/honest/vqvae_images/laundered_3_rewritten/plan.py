"""Networks are written down as short plans and assembled here.

A plan is a tuple of steps, each step a tuple whose first item names a recipe:
    ("shrink", a, b)   half the resolution, a -> b planes
    ("grow", a, b)     twice the resolution, a -> b planes
    ("point", a, b)    1x1 convolution
    ("patch", a, b)    3x3 convolution
    ("norm", a)        group normalisation
    ("swish",)         activation
    ("around", plan)   the plan's output is added to its input
"""
import torch

GROUPS = 8


class Around(torch.nn.Module):
    def __init__(self, steps):
        super().__init__()
        self.inner = assemble(steps)

    def forward(self, signal):
        return torch.add(self.inner(signal), signal)


RECIPES = {
    "shrink": lambda a, b: torch.nn.Conv2d(a, b, (4, 4), (2, 2), (1, 1)),
    "grow": lambda a, b: torch.nn.ConvTranspose2d(a, b, (4, 4), (2, 2), (1, 1)),
    "point": lambda a, b: torch.nn.Conv2d(a, b, (1, 1)),
    "patch": lambda a, b: torch.nn.Conv2d(a, b, (3, 3), (1, 1), (1, 1)),
    "norm": lambda a: torch.nn.GroupNorm(GROUPS, a),
    "swish": torch.nn.SiLU,
    "around": Around,
}


def assemble(steps):
    chain = torch.nn.Sequential()
    for position, (recipe, *numbers) in enumerate(steps):
        chain.add_module(f"{position}_{recipe}", RECIPES[recipe](*numbers))
    return chain


def detour(planes):
    normalise = (("norm", planes), ("swish",))
    return "around", normalise + (("patch", planes, planes),) + normalise + (("point", planes, planes),)


def inward(colours, planes, depth, dot_size):
    return (
        ("shrink", colours, planes // 2),
        ("swish",),
        ("shrink", planes // 2, planes),
        *(depth * (detour(planes),)),
        ("norm", planes),
        ("swish",),
        ("point", planes, dot_size),
    )


def outward(colours, planes, depth, dot_size):
    return (
        ("patch", dot_size, planes),
        *(depth * (detour(planes),)),
        ("norm", planes),
        ("swish",),
        ("grow", planes, planes // 2),
        ("swish",),
        ("grow", planes // 2, colours),
    )
