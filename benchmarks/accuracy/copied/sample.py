"""A random sample of findings that no mark accounts for, to be judged by reading.

The lot is a digest of the names on either side and not a place in a list, so that the sample, and with it
the judgements on record, outlives small changes of scores.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations
from pathlib import Path

import networkx as nx

from benchmarks.accuracy.copied.marks import Marked, Place
from benchmarks.accuracy.library import compared, model_of, side, sources
from detector.background import Background
from detector.evidence.explanation import Explanations
from detector.match.chance import Common
from detector.match.correspondence import Basis, Match

LABELS = Path(__file__).with_name("labels.tsv")
JUDGEMENTS = ("same origin", "same idiom", "wrong")


@dataclass(frozen=True, slots=True)
class Sampled:
    """A finding between two files of different models, and the judgement of who read it, if anyone did."""

    a: Place
    b: Place
    bits: float
    e_value: float
    basis: Basis
    judgement: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Path and name on either side: what a judgement is kept under."""
        return (*_named(self.a), *_named(self.b))


def sampled(count: int, pairs: Sequence[Marked]) -> Iterator[Sampled]:
    """Findings that nothing explains, one for each pair of files at most; both are drawn by lot.

    Findings that follow from marks (both copies of a third, say) are passed over.
    """
    groups = nx.Graph()
    groups.add_edges_from((pair.copy, pair.original) for pair in pairs)
    marked = {place: row for row, group in enumerate(nx.connected_components(groups)) for place in group}
    judged = labels()
    found = 0
    for a, b in _file_pairs():
        open_ones = []
        for match in _unexplained(a, b):
            left, right = Place(a, match.a), Place(b, match.b)
            if left not in marked or marked[left] != marked.get(right):
                judgement = judged.get((*_named(left), *_named(right)), "")
                open_ones.append(Sampled(left, right, match.bits, match.e_value, match.basis, judgement))
        if open_ones:
            yield min(open_ones, key=lambda finding: _lot(*finding.key))
            found += 1
        if found == count:
            return


def _file_pairs() -> list[tuple[str, str]]:
    """Files of one kind (modeling, tokenization, conversion ...) of two models, in random order."""
    files = [path for path in sources() if model_of(path) and not path.endswith("__init__.py")]
    pairs = [(a, b) for a, b in combinations(files, 2) if model_of(a) != model_of(b) and _kind(a) == _kind(b)]
    return sorted(pairs, key=lambda pair: _lot(*pair))


def _lot(*names: str) -> bytes:
    return sha256("\t".join(names).encode()).digest()


def _kind(path: str) -> str:
    return path.rpartition("/")[2].split("_")[0]


def _unexplained(a: str, b: str) -> list[Match]:
    matches = compared(a, b).matches
    if not matches:
        return []
    common = Common.of(side(a).bags, side(b).bags)
    explained = Explanations.of(common, (), Background.open()).of_matches(matches)
    return [match for match, names in zip(matches, explained, strict=True) if not names]


def labels() -> dict[tuple[str, str, str, str], str]:
    """The judgements on record."""
    if not LABELS.exists():
        return {}
    with LABELS.open(encoding="utf-8", newline="") as lines:
        return {
            (row["path_a"], row["name_a"], row["path_b"], row["name_b"]): row["judgement"]
            for row in csv.DictReader(lines, delimiter="\t")
        }


def side_by_side(chosen: Sequence[Sampled]) -> str:
    """The code of each finding, one side after the other, for reading."""
    parts = []
    for number, finding in enumerate(chosen, 1):
        read = finding.judgement or "not read"
        strength = f"{finding.bits:.1f} bits, E = {finding.e_value:.2g} of the {finding.basis}"
        head = f"#### {number}: {strength}, {read}"
        parts.append("\n".join((head, _shown("A", finding.a), _shown("B", finding.b))))
    return "\n\n".join(parts)


def _shown(letter: str, place: Place) -> str:
    unit = side(place.path).units[place.row].unit
    lines = sources()[place.path].split("\n")[unit.start_line - 1 : unit.end_line]
    return "\n".join((f"{letter} {unit.path}::{unit.name}", *lines))


def _named(place: Place) -> tuple[str, str]:
    unit = side(place.path).units[place.row].unit
    return unit.path, unit.name
