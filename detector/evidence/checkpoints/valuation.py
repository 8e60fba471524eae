"""The values of paired tensors compared one by one, within a time limit and a bounded memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

from detector.evidence.checkpoints.layout import Damaged, Tensor
from detector.evidence.checkpoints.profile import (
    LEAST_LAYERS,
    Agreement,
    attention_matrices,
    compare_profiles,
)
from detector.evidence.checkpoints.relation import RELATED, Kind, Relation, relate
from detector.evidence.checkpoints.values import readable, sample

Opener: TypeAlias = Callable[[str], "BinaryIO | None"]
"""opens a checkpoint file of one side by its path; None where its bytes are not at hand"""

WEIGHTY = 1024
"""values that a matrix needs to count: smaller tensors, and vectors, look alike after any training"""
_COMPUTED = (
    "inv_freq",
    "position_ids",
    "pos_embed",
    "freqs",
    "mask",
    "num_batches_tracked",
    "attn.bias",
    "_index",
)
"""parts of the names of tensors that are computed from the architecture, and so equal without any copying"""


@dataclass(frozen=True, slots=True)
class Valued:
    """How the values of one pair of tensors are related. `weighty`: whether the pair counts as evidence."""

    a: Tensor
    b: Tensor
    relation: Relation
    weighty: bool


@dataclass(frozen=True, slots=True)
class Valuation:
    """The pairs that were compared, what stood in the way of others, and how many the time did not allow."""

    pairs: tuple[Valued, ...] = ()
    troubles: tuple[str, ...] = ()
    left_out: int = 0

    @property
    def weighty(self) -> tuple[Valued, ...]:
        """The pairs that count as evidence, related or not."""
        return tuple(pair for pair in self.pairs if pair.weighty and pair.relation.kind != "constant")

    def of(self, kinds: Iterable[Kind]) -> tuple[Valued, ...]:
        """Weighty pairs of these kinds."""
        wanted = frozenset(kinds)
        return tuple(pair for pair in self.weighty if pair.relation.kind in wanted)

    @property
    def related(self) -> float:
        """Part of the weighty pairs that are related in any way."""
        return len(self.of(RELATED)) / max(1, len(self.weighty))

    @property
    def sigma(self) -> float | None:
        """Median standard deviation of the noise, over the pairs that differ by noise."""
        noisy = [pair.relation.difference.sigma for pair in self.of(("noise",))]
        return statistics.median(noisy) if noisy else None


def value(
    pairs: Sequence[tuple[Tensor, Tensor]], openers: tuple[Opener, Opener], seconds: float
) -> Valuation:
    """Compare the values of each pair of equal shape whose bytes are at hand on both sides."""
    chosen = [
        pair for pair in pairs if pair[0].shape == pair[1].shape and all(readable(tensor) for tensor in pair)
    ]
    stop = time.monotonic() + seconds
    found: list[Valued] = []
    troubles: list[str] = []
    with ExitStack() as stack:
        files = _Files(stack, openers)
        for done, (a, b) in enumerate(chosen):
            if time.monotonic() > stop:
                return Valuation(tuple(found), tuple(dict.fromkeys(troubles)), len(chosen) - done)
            streams = files.stream(0, a.file), files.stream(1, b.file)
            if streams[0] is None or streams[1] is None:
                continue
            try:
                relation = relate(sample(streams[0], a), sample(streams[1], b), (a.dtype, b.dtype))
            except (Damaged, OSError) as error:
                troubles.append(str(error))
                continue
            found.append(Valued(a, b, relation, _is_weighty(a)))
    return Valuation(tuple(found), tuple(dict.fromkeys(troubles)))


def profiles(a: Sequence[Tensor], b: Sequence[Tensor], openers: tuple[Opener, Opener]) -> list[Agreement]:
    """Compare the profiles of attention matrices of two models of any shapes (`profile`)."""
    with ExitStack() as stack:
        files = _Files(stack, openers)
        sides = [
            {
                role: deviations
                for role, layers in attention_matrices(tensors).items()
                if len(layers) >= LEAST_LAYERS and (deviations := files.deviations(at, layers)) is not None
            }
            for at, tensors in enumerate((a, b))
        ]
    return compare_profiles(sides[0], sides[1])


def _is_weighty(tensor: Tensor) -> bool:
    is_matrix = len([size for size in tensor.shape or () if size > 1]) > 1 and tensor.size >= WEIGHTY
    return is_matrix and not any(part in tensor.name for part in _COMPUTED)


class _Files:
    """The files of both sides, each opened once."""

    def __init__(self, stack: ExitStack, openers: tuple[Opener, Opener]) -> None:
        self._stack, self._openers = stack, openers
        self._open: dict[tuple[int, str], BinaryIO | None] = {}

    def stream(self, side: int, path: str) -> BinaryIO | None:
        if (side, path) not in self._open:
            stream = self._openers[side](path)
            self._open[side, path] = self._stack.enter_context(stream) if stream is not None else None
        return self._open[side, path]

    def deviations(self, side: int, layers: dict[int, Tensor]) -> list[float] | None:
        """The standard deviation of each layer's matrix; None where one cannot be read."""
        found = []
        for _, tensor in sorted(layers.items()):
            stream = self.stream(side, tensor.file)
            if stream is None or not readable(tensor):
                return None
            try:
                found.append(float(sample(stream, tensor).astype("f8").std()))
            except (Damaged, OSError):
                return None
        return found
