"""The network as a flat program: a list of instructions, and one dict of tensors for each."""
from dataclasses import dataclass
from typing import NamedTuple

import torch

import algebra


class Instruction(NamedTuple):
    verb: str
    channels: int


@dataclass(frozen=True)
class Spec:
    height: int = 32
    width: int = 32
    colours: int = 3
    octaves: int = 3
    rounds: int = 16
    breadth: int = 256
    packed: bool = True
    bits: int = 8
    odds: bool = False

    def __post_init__(self):
        if (self.height | self.width) & ((1 << self.octaves) - 1):
            raise ValueError(f"{self.octaves} octaves do not fit {self.height}x{self.width}")

    @property
    def numbers_per_image(self):
        return self.height * self.width * self.colours

    def program(self):
        channels = self.colours
        listing = []
        for remaining in range(self.octaves - 1, -1, -1):
            channels *= 4
            turn = "turn_packed" if self.packed else "turn_dense"
            listing.append(Instruction("fold", channels))
            listing += [Instruction(verb, channels) for _ in range(self.rounds)
                        for verb in ("level", turn, "push")]
            if remaining:
                channels //= 2
                listing.append(Instruction("tap", channels))
            else:
                listing.append(Instruction("drain", channels))
        return listing

    def noise_sizes(self):
        """(height, width, channels) of everything that is tapped, in program order."""
        taps = [i.channels for i in self.program() if i.verb in ("tap", "drain")]
        return [(self.height >> k, self.width >> k, c) for k, c in enumerate(taps, start=1)]


def muted(inputs, outputs):
    return {"kernel": torch.zeros(outputs, inputs, 3, 3), "offset": torch.zeros(outputs),
            "volume": torch.zeros(outputs)}


def blank_cell(instruction, spec):
    """Learned tensors and constant tensors an instruction begins with."""
    verb, n = instruction
    if verb == "level":
        return {"centre": torch.zeros(n), "gain": torch.zeros(n)}, {}
    if verb == "turn_dense":
        return {"dense": algebra.random_rotation(n)}, {}
    if verb == "turn_packed":
        packed, signs, rows = algebra.eliminate(algebra.random_rotation(n))
        return {"packed": packed}, {"signs": signs, "rows": rows}
    if verb == "push":
        b = spec.breadth
        return {"in_kernel": 0.05 * torch.randn(b, n // 2, 3, 3), "in_offset": torch.zeros(b),
                "mid_kernel": 0.05 * torch.randn(b, b, 1, 1), "mid_offset": torch.zeros(b),
                **muted(b, n)}, {}
    if verb == "tap":
        return muted(n, 2 * n), {}
    if verb == "drain":  # nothing to look at: a kernel would only ever meet zeros
        return {"offset": torch.zeros(2 * n), "volume": torch.zeros(2 * n)}, {}
    return {}, {}


def blank_memory(spec, device="cpu"):
    memory = []
    for instruction in spec.program():
        learned, constant = blank_cell(instruction, spec)
        cell = {k: v.to(device).requires_grad_() for k, v in learned.items()}
        cell.update((k, v.to(device)) for k, v in constant.items())
        memory.append(cell)
    return memory


def learned_tensors(memory):
    return [t for cell in memory for t in cell.values() if t.requires_grad]


def duplicate(memory):
    return [{k: t.detach().clone() for k, t in cell.items()} for cell in memory]
