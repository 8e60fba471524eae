"""A network as data: a list of instructions, and the shapes of the parameters that they need."""

from typing import NamedTuple

import torch


class Op(NamedTuple):
    """What to do, under which name the parameters are kept, and whether the result is remembered."""

    kind: str  # conv, halve, double, mix, attend, join
    name: str = ""
    keep: bool = False


class Shape(NamedTuple):
    """Channels in the network at each depth, and the constants of its operations."""

    colours: int = 3
    pixels: int = 32
    categories: int = 10
    unit: int = 64
    factors: tuple = (1, 2, 2, 4)
    chain: int = 2
    global_at: tuple = (16, 8)
    heads: int = 4
    groups: int = 16
    noise_p: float = 0.1


class Writer:
    """Collects operations and parameters in the order in which they are met."""

    def __init__(self, shape):
        self.shape, self.ops, self.bank = shape, [], {}

    def new(self, name, *dims, fan=None, zero=False, one=False):
        """Register a parameter; fan is the number of inputs that bounds its random start."""
        if zero or one:
            self.bank[name] = torch.full(dims, float(one))
        else:
            bound = (fan or 1) ** -0.5
            self.bank[name] = torch.empty(dims).uniform_(-bound, bound) if fan else torch.randn(dims)

    def affine(self, name, n_out, n_in, side=0, zero=False):
        kernel = (side, side) if side else ()
        fan = n_in * max(1, side) ** 2
        self.new(name + ".w", n_out, n_in, *kernel, fan=fan, zero=zero)
        self.new(name + ".b", n_out, fan=fan, zero=zero)

    def scale(self, name, n):
        self.new(name + ".g", n, one=True)
        self.new(name + ".o", n, zero=True)

    def mixer(self, name, n_in, n_out, pixels, keep):
        """A conditioned pair of convolutions, with global exchange where the map is small enough."""
        self.scale(name + ".s1", n_in)
        self.affine(name + ".c1", n_out, n_in, 3)
        self.affine(name + ".film", 2 * n_out, 4 * self.shape.unit)
        self.scale(name + ".s2", n_out)
        self.affine(name + ".c2", n_out, n_out, 3, zero=True)
        if n_in != n_out:
            self.affine(name + ".thin", n_out, n_in)
        exchange = pixels in (*self.shape.global_at, None)
        self.ops.append(Op("mix", name, keep and not exchange))
        if exchange:
            self.scale(name + ".s3", n_out)
            self.affine(name + ".qkv", 3 * n_out, n_out)
            self.affine(name + ".o", n_out, n_out, zero=True)
            self.ops.append(Op("attend", name, keep))

    def spatial(self, kind, name, n_out, n_in, keep=False, zero=False):
        self.affine(name, n_out, n_in, 3, zero=zero)
        self.ops.append(Op(kind, name, keep))


def compose(shape):
    """Write the whole hourglass: (operations, parameters)."""
    w, wide = Writer(shape), 4 * shape.unit
    w.affine("clock.0", wide, shape.unit)
    w.affine("clock.1", wide, wide)
    w.new("category", shape.categories + 1, wide)
    w.spatial("conv", "in", shape.unit, shape.colours, keep=True)
    floors = [(shape.unit * f, shape.pixels >> depth) for depth, f in enumerate(shape.factors)]
    stack, n = [shape.unit], shape.unit
    for depth, (size, pixels) in enumerate(floors):
        if depth:
            w.spatial("halve", f"fall{depth}", n, n, keep=True)
            stack.append(n)
        for k in range(shape.chain):
            w.mixer(f"fall{depth}.{k}", n, size, pixels, keep=True)
            n = size
            stack.append(n)
    w.mixer("floor.0", n, n, None, keep=False)
    w.mixer("floor.1", n, n, -1, keep=False)
    for depth in range(len(floors))[::-1]:
        size, pixels = floors[depth]
        for k in range(shape.chain + 1):
            w.ops.append(Op("join"))
            w.mixer(f"rise{depth}.{k}", n + stack.pop(), size, pixels, keep=False)
            n = size
        if depth:
            w.spatial("double", f"rise{depth}", n, n)
    w.scale("out.s", n)
    w.affine("out", shape.colours, n, 3, zero=True)
    return w.ops, w.bank
