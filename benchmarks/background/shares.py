"""Does the background promise the right bits? Measured on packages that it does not hold.

    python benchmarks/background/shares.py

For every occurrence of a term in a held-out package, the share promised by a way of counting is set
against the share of functions that hold the term in the other held-out packages. Prints a Markdown table
for each way of counting; docs/statistics.md quotes it. Downloads and counts are cached as for a build.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.background.build import censuses
from detector.background.census import Census
from detector.background.corpus import read_list
from detector.background.family import TermSets
from detector.background.hashing import truncated
from detector.background.table import tabulate
from detector.background.weighing import Population, population, term_shares, unit_weights
from detector.snapshot.cache import cache_folder

_EDGES = (0, 2, 4, 6, 8, 10, 12, 14, 16, 18)


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Terms of held-out packages: row i is `terms[i]` in one package, standing for `weights[i]` families.

    `seen` is the share of the other packages' families that hold the term.
    """

    terms: NDArray[np.uint64]
    weights: NDArray[np.float64]
    seen: NDArray[np.float64]


def main() -> None:
    """Print the tables."""
    options = _options()
    kept = counted(options.packages, options.cache)
    people = population([census.units.bags for census in kept])
    occurrences = observe([census.units.bags for census in counted(options.held_out, options.cache)])
    print(f"{len(kept)} packages, {len(people.bags):,} distinct units, {people.size:,} families;")
    print(f"{len(occurrences.terms):,} occurrences in held-out packages\n")
    for name, weights in schemes(people):
        print(f"{name}\n")
        print("\n".join(table(people, weights, occurrences)), "\n")


def _options() -> argparse.Namespace:
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--packages", type=Path, default=here / "packages.txt")
    parser.add_argument("--held-out", type=Path, default=here / "held_out.txt")
    parser.add_argument("--cache", type=Path, default=None)
    return parser.parse_args()


def counted(path: Path, cache: Path | None) -> list[Census]:
    """The censuses of a list; what could not be counted is named on standard error."""
    requirements = [line.requirement for line in read_list(path)]
    kept = []
    for requirement, outcome in censuses(requirements, cache or cache_folder("background"), jobs=2):
        if isinstance(outcome, Census):
            kept.append(outcome)
        else:
            print(f"left out: {requirement}: {outcome}", file=sys.stderr)
    return kept


def schemes(people: Population) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Ways of counting: name, and the weight of each distinct unit."""
    yield "Every copy counts", np.bincount(people.units, minlength=len(people.bags)).astype(np.float64)
    yield "Every distinct unit counts once", np.ones(len(people.bags))
    yield "Every family counts once", 1.0 / np.bincount(people.families)[people.families]
    yield "Families, packages as the root of their size (shipped)", unit_weights(people)


def observe(packages: list[TermSets]) -> Occurrences:
    """What the held-out packages hold, each against all others."""
    people = population(packages)
    family_weights = 1.0 / np.bincount(people.families)[people.families]
    holder = np.zeros(len(people.bags), np.int64)
    holder[people.units[::-1]] = people.packages[::-1]
    owners = people.bags.owners()
    terms, term_of = np.unique(people.bags.terms, return_inverse=True)
    rows, row_of = np.unique(term_of.reshape(-1) * len(packages) + holder[owners], return_inverse=True)
    weights = np.bincount(row_of.reshape(-1), family_weights[owners]).astype(np.float64)
    everywhere = np.bincount(rows // len(packages), weights)
    elsewhere = everywhere[rows // len(packages)] - weights
    rest = family_weights.sum() - np.bincount(holder, family_weights, len(packages))[rows % len(packages)]
    return Occurrences(terms[rows // len(packages)], weights, np.maximum(elsewhere, 0.0) / rest)


def table(people: Population, weights: NDArray[np.float64], occurrences: Occurrences) -> Iterator[str]:
    """Rows: range of promised bits, part of all occurrences, mean promised and mean seen share in bits."""
    rarities = tabulate(*term_shares(people, weights), capacity=2**31)
    promised = rarities.bits(occurrences.terms).astype(np.float64)
    known = np.isin(truncated(occurrences.terms), rarities.keys)
    yield "| promised bits | part of occurrences | mean promised | mean seen |"
    yield "| --- | ---: | ---: | ---: |"
    for low, high in pairwise(_EDGES):
        row = _row(f"{low} to {high}", known & (promised >= low) & (promised < high), promised, occurrences)
        if row:
            yield row
    yield _row("not in the table", ~known, promised, occurrences)


def _row(name: str, chosen: NDArray[np.bool_], promised: NDArray[np.float64], seen: Occurrences) -> str:
    weights = seen.weights[chosen]
    total = weights.sum()
    if not total:
        return ""
    means = [(weights * shares).sum() / total for shares in (2.0 ** -promised[chosen], seen.seen[chosen])]
    bits = [f"{-np.log2(mean):.2f}" if mean else "none seen" for mean in means]
    return f"| {name} | {100 * total / seen.weights.sum():.1f} % | {bits[0]} | {bits[1]} |"


if __name__ == "__main__":
    main()
