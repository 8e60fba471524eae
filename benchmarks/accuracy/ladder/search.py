"""The laundered functions of a program, searched in the haystack by the detector's own pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.ladder.laundry import Laundered
from benchmarks.accuracy.ladder.sample import FEWEST_NODES, Function, Program
from detector.background import Background
from detector.candidate.bag import Bags, bags
from detector.candidate.candidate import Candidates, candidates
from detector.fingerprint.fingerprint import Fingerprint
from detector.fingerprint.repository import fingerprint_files
from detector.match.chance import Common, law

_Units = dict[tuple[str, str], Fingerprint]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one laundered function: the score of its own original, of its best rival in the
    haystack, and the E-value of the first among all its pairs; `ceiling` is the E-value of the original
    found unchanged.
    """

    program: str
    function: Function
    level: int
    score: float
    rival: float
    e_value: float
    ceiling: float

    @property
    def first(self) -> bool:
        """Did the original come first?"""
        return self.score > 0 and self.score >= self.rival


def outcomes(
    program: Program, levels: Sequence[Laundered], hay: Bags, background: Background
) -> list[Outcome]:
    """Search for each function of a program, at every level."""
    originals = _fingerprints(program.files)
    functions = [function for function in program.functions if (function.path, function.name) in originals]
    sought = bags([originals[function.path, function.name] for function in functions], background.bits)
    there = _together(sought, hay)
    every = np.arange(len(sought))
    ceilings = Common.of(sought, sought).limited(Candidates(every, every), law())
    found = []
    for level, laundered in enumerate(levels, 1):
        pieces = _pieces(functions, laundered)
        here = bags([unit for _, unit in pieces], background.bits)
        searched = _searched(here, there, [at for at, _ in pieces], ceilings)
        rows = zip(functions, searched, strict=True)
        found += [Outcome(program.name, function, level, *row) for function, row in rows]
    return found


def _fingerprints(files: dict[str, str]) -> _Units:
    prints = fingerprint_files({path: text.encode() for path, text in files.items()}).fingerprints
    return {(unit.unit.path, unit.unit.name): unit for unit in prints if unit.unit.kind != "module"}


def _together(first: Bags, second: Bags) -> Bags:
    return Bags(
        np.concatenate((first.terms, second.terms)),
        np.concatenate((first.bits, second.bits)),
        np.concatenate((first.starts, second.starts[1:] + first.starts[-1])),
        np.concatenate((first.sizes, second.sizes)),
    )


def _pieces(functions: Sequence[Function], laundered: Laundered) -> list[tuple[int, Fingerprint]]:
    """The units that each function came to lie in, with its number; too small ones are not compared."""
    units = _fingerprints(laundered.files)
    return [
        (at, units[function.path, name])
        for at, function in enumerate(functions)
        for name in laundered.units(function.path, function.name)
        if len(units[function.path, name].places) >= FEWEST_NODES
    ]


def _searched(
    here: Bags, there: Bags, owners: Sequence[int], ceilings: NDArray[np.float64]
) -> Iterator[tuple[float, float, float, float]]:
    """Score, rival, E-value, ceiling of each function; `there` holds their originals, then the haystack;
    `ceilings` are the scores of the originals with themselves.
    """
    functions = len(ceilings)
    pairs = candidates(here, there)
    scored = Common.of(here, there).limited(pairs, law())
    numbers = np.array(owners, dtype=np.int64)
    whose = numbers[pairs.a]
    alone = len(there) - functions + 1
    for at in range(functions):
        mine = whose == at
        best, rival = _best(scored[mine & (pairs.b == at)]), _best(scored[mine & (pairs.b >= functions)])
        compared = max(1, owners.count(at)) * alone
        yield best, rival, law().expected(best, compared), law().expected(float(ceilings[at]), alone)


def _best(scored: NDArray[np.float64]) -> float:
    return float(scored.max()) if len(scored) else 0.0
