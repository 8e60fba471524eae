"""Settings of a Veilview network and the checkpoint files that carry them."""
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch


@dataclass
class StackShape:
    """Size of one transformer stack."""
    features: int
    length: int
    heads: int


@dataclass
class VeilOptions:
    pixels: int = 96
    cell: int = 8
    planes: int = 3
    reader: StackShape = field(default_factory=lambda: StackShape(384, 12, 6))
    writer: StackShape = field(default_factory=lambda: StackShape(192, 4, 6))
    widen: float = 4.0
    veil: float = 0.75
    standardise: bool = True

    def __post_init__(self):
        # a checkpoint gives the two stacks back as plain dictionaries
        if isinstance(self.reader, dict):
            self.reader = StackShape(**self.reader)
        if isinstance(self.writer, dict):
            self.writer = StackShape(**self.writer)
        self.per_side = self.pixels // self.cell
        self.cell_values = self.planes * self.cell * self.cell


def store(path: Path, network: torch.nn.Module, options: VeilOptions, **extra) -> None:
    content = dict(options=asdict(options), weights=network.state_dict())
    content.update(extra)
    torch.save(content, path)


def recall(path) -> tuple[VeilOptions, dict]:
    content = torch.load(path, map_location=torch.device("cpu"))
    return VeilOptions(**content["options"]), content["weights"]
