"""Settings of one experiment, filled in from the command line."""
import argparse
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import List


@dataclass
class Config:
    # what to read and where to write
    source: Path
    save_dir: Path = Path("output")
    rng_seed: int = 0
    # the task
    n_in: int = 336
    n_out: int = 96
    period: int = 24
    objective: str = "squared"
    levels: List[float] = field(default_factory=lambda: [0.1, 0.25, 0.5, 0.75, 0.9])
    # the network
    arch: str = "attention"
    run_all: bool = False
    chunk: int = 16
    chunk_step: int = 8
    d_model: int = 128
    n_heads: int = 8
    n_layers: int = 3
    p_drop: float = 0.2
    reduce: str = "concat"
    # the optimiser
    max_epochs: int = 50
    wait: int = 8
    batch: int = 64
    peak_lr: float = 1e-3
    l2: float = 1e-4
    grad_norm: float = 1.0

    CHOICES = {
        "objective": ("squared", "absolute", "pinball"),
        "arch": ("attention", "linear", "repeat"),
        "reduce": ("concat", "mean"),
    }

    @property
    def active_levels(self) -> List[float]:
        """The quantile levels that the networks must produce; a point forecast is the median alone."""
        if self.objective != "pinball":
            return [0.5]
        return sorted(self.levels)

    @property
    def archs_to_run(self) -> List[str]:
        extra = [a for a in ("linear", "repeat") if self.run_all and a != self.arch]
        return [self.arch, *extra]

    @classmethod
    def from_command_line(cls) -> "Config":
        parser = argparse.ArgumentParser(description="Fit forecasters to a CSV file and score them.")
        for entry in fields(cls):
            option = "--" + entry.name.replace("_", "-")
            if entry.name == "source":
                parser.add_argument("source", type=Path)
            elif entry.name == "levels":
                parser.add_argument(option, type=float, nargs="+", default=entry.default_factory())
            elif isinstance(entry.default, bool):
                parser.add_argument(option, action="store_true")
            else:
                kind = Path if isinstance(entry.default, Path) else type(entry.default)
                parser.add_argument(option, type=kind, default=entry.default, choices=cls.CHOICES.get(entry.name))
        return cls(**vars(parser.parse_args()))
