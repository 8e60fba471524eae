"""Rank and recall of a method's twin in another framework: `python -m benchmarks.accuracy.twins`.

transformers 4.40.0 holds modeling_X, modeling_flax_X and modeling_tf_X of the same models. Truth: the method
of the class of the same role (FlaxBertSelfAttention.__call__ for BertSelfAttention.forward), searched among
all units of the twin's file alone, and among those of the files of `OTHERS` other models as well.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.accuracy.library import THRESHOLD, compared, model_of, pooled, side, sources
from benchmarks.accuracy.page import share, table, write_section
from detector.background import Background
from detector.candidate.bag import Bags, bags
from detector.candidate.candidate import Candidates
from detector.match.chance import law, scores

OTHERS = 20
"""models whose files are searched besides the twin's"""
LEAST = 4
"""statements of the smallest method that is searched for"""
_SEED = 1990


@dataclass(frozen=True, slots=True)
class Framework:
    """What its files and classes are called, and PyTorch's names of methods in its terms."""

    name: str
    infix: str
    prefix: str
    methods: tuple[tuple[str, str], ...]


FRAMEWORKS = (
    Framework("Flax", "flax_", "Flax", (("forward", "__call__"), ("__init__", "setup"))),
    Framework("TensorFlow", "tf_", "TF", (("forward", "call"), ("__init__", "__init__"))),
)


@dataclass(frozen=True, slots=True)
class Search:
    """One method searched for: its twin's rank in the twin's file and in the wide search (0: not ranked),
    whether the pair has E <= threshold there, and whether the comparison of the two files reports it.
    """

    model: str
    initial: bool
    """a constructor"""
    rank: int
    significant: bool
    wide_rank: int
    wide_significant: bool
    reported: bool


def searches(framework: Framework) -> Iterator[Search]:
    """Search for every twin of every model that has both files."""
    models = _models(framework)
    chance = random.Random(_SEED)
    for model, (torch, twin) in models.items():
        others = chance.sample(sorted(set(models) - {model}), min(OTHERS, len(models) - 1))
        truth = _truth(torch, twin, framework)
        if truth:
            wide = [twin, *(models[other][1] for other in others)]
            yield from _searched(model, torch, twin, wide, truth)


def _models(framework: Framework) -> dict[str, tuple[str, str]]:
    """Model -> its PyTorch file and its twin."""
    found = {}
    for path in sources():
        folder, _, name = path.rpartition("/")
        twin = f"{folder}/{name.replace('modeling_', f'modeling_{framework.infix}')}"
        if (
            model_of(path) not in ("", "auto", "deprecated")
            and name.startswith("modeling_")
            and twin in sources()
        ):
            found[name.removeprefix("modeling_").removesuffix(".py")] = (path, twin)
    return found


def _truth(torch: str, twin: str, framework: Framework) -> list[tuple[int, int]]:
    """Rows of methods of the same role in the two files."""
    names = dict(framework.methods)
    rows = {unit.unit.name: row for row, unit in enumerate(side(twin).units)}
    found = []
    for row, unit in enumerate(side(torch).units):
        role, _, method = unit.unit.name.rpartition(".")
        other = rows.get(f"{framework.prefix}{role}.{names.get(method, method)}")
        if role and other is not None and len(unit.statements) - 1 >= LEAST:
            found.append((row, other))
    return found


def _searched(
    model: str, torch: str, twin: str, wide: Sequence[str], truth: Sequence[tuple[int, int]]
) -> Iterator[Search]:
    queries = side(torch)
    pool = pooled(wide)
    everything = bags(pool, Background.open().bits)
    here = len(side(twin).units)
    reported = {(match.a, match.b) for match in compared(torch, twin).matches}
    for row, other in truth:
        found = _against_all(queries.bags, row, everything)
        near, far = (float(len(queries.units)) * count for count in (here, len(pool)))
        yield Search(
            model=model,
            initial=queries.units[row].unit.name.endswith("__init__"),
            rank=_rank(found[:here], other),
            significant=law().expected(found[other], near) <= THRESHOLD,
            wide_rank=_rank(found, other),
            wide_significant=law().expected(found[other], far) <= THRESHOLD,
            reported=(row, other) in reported,
        )


def _against_all(a: Bags, row: int, b: Bags) -> list[float]:
    """The score of one unit with every unit of a pool."""
    every = Candidates(np.full(len(b), row, dtype=np.int64), np.arange(len(b), dtype=np.int64))
    return [float(score) for score in scores(a, b, every)]


def _rank(found: Sequence[float], other: int) -> int:
    """One more than the units that score higher; units of the same score share the better rank."""
    return 1 + sum(score > found[other] for score in found) if found[other] > 0 else 0


def _row(label: str, found: Sequence[Search]) -> tuple[object, ...]:
    count = len(found)
    return (
        label,
        len({search.model for search in found}),
        f"{count:,}",
        share(sum(search.rank == 1 for search in found), count),
        share(sum(0 < search.rank <= 5 for search in found), count),
        share(sum(search.reported for search in found), count),
        share(sum(search.significant for search in found), count),
        share(sum(search.wide_rank == 1 for search in found), count),
        share(sum(0 < search.wide_rank <= 5 for search in found), count),
        share(sum(search.wide_significant for search in found), count),
    )


def main() -> None:
    """Write the section."""
    rows = []
    for framework in FRAMEWORKS:
        found = list(searches(framework))
        rows.append(_row(f"{framework.name}, methods", [search for search in found if not search.initial]))
        rows.append(_row(f"{framework.name}, constructors", [search for search in found if search.initial]))
    heads = ("PyTorch to", "models:", "twins:", "first:", "in the first five:", "reported:", "E <= 0.01:",
             f"first, {OTHERS} models more:", "in the first five:", "E <= 0.01:")  # fmt: skip
    write_section("twins", table(heads, rows))


if __name__ == "__main__":
    main()
