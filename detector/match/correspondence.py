"""Which unit of B stands for which unit of A: chosen jointly, by bits and by the agreement of neighbours.

Seed and extend, as in sequence search (Altschul et al. 1990) and network alignment (Kuchaiev et al. 2010):

1. *Seeds* are the candidate pairs that coincidence does not explain in a comparison of all with all
   (E <= threshold). Of pairs that compete for a unit the one with more bits wins, where every
   matched neighbour that agrees (a caller with its caller, a method with its class) is worth `AGREEMENT`.
2. *Extension*: next to a match (members of the same class pair, callees, callers, bases, neighbours in the
   same pair of files) only few pairs are possible, so fewer bits suffice: E counts those pairs alone.
3. *Split and merged*: a unit that is left without a partner may hold a part of one that has its own. Then
   the pair must be a seed by itself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from detector.candidate.bag import Bags
from detector.candidate.candidate import Candidates
from detector.fingerprint.fingerprint import Fingerprint
from detector.match.chance import Law, held, limited, own_scores

if TYPE_CHECKING:
    import networkx as nx

AGREEMENT = 6.0
"""bits that one agreeing neighbour is worth when pairs compete"""
_ROUNDS = 3
_TOGETHER = 2
"""matches that make two files a pair"""
_PART = 0.35
"""share of its own score that a left-over unit must find in a unit that has a partner"""


@dataclass(frozen=True, slots=True)
class Match:
    """Row `a` of A's units and row `b` of B's, with score and E-value.

    `part` marks a pair that stands beside the main match of one of its units; `held` is what the two
    have in common, to be compared with their scores with themselves.
    """

    a: int
    b: int
    score: float
    bits: float
    e_value: float
    part: bool = False
    held: float = 0.0


@dataclass(frozen=True, slots=True)
class Side:
    """One side's units, their bags and their graph, row by row."""

    units: Sequence[Fingerprint]
    bags: Bags
    graph: nx.DiGraph[int]


@dataclass(frozen=True, slots=True)
class Matches:
    """The chosen correspondences, the number of pairs they were chosen from, and what chance would give."""

    matches: tuple[Match, ...]
    pairs: float
    chance_findings: float


@dataclass(frozen=True, slots=True)
class _Test:
    """The law of chance and the highest E-value that is kept."""

    law: Law
    threshold: float

    def passed(self, score: float, pairs: float) -> bool:
        """Is a score beyond coincidence where that many pairs were possible?"""
        return self.law.expected(score, pairs) <= self.threshold


def correspond(a: Side, b: Side, pairs: Candidates, law: Law, threshold: float) -> Matches:
    """Choose the correspondences between two sides; `threshold` is the highest E-value that is kept."""
    total = float(len(a.units)) * len(b.units)
    rows = zip(pairs.a.tolist(), pairs.b.tolist(), strict=True)
    every = dict(zip(rows, limited(a.bags, b.bags, pairs, law).tolist(), strict=True))
    scored = {pair: score for pair, score in every.items() if law.expected(score, total) <= threshold}
    chosen = _jointly(scored, a, b, law)
    matches = {pair: _match(pair, scored[pair], law, total) for pair in chosen}
    contexts = 1
    test = _Test(law, threshold)
    extended = _next_to_matches(a, b, matches, test)
    matches.update(extended)
    contexts += bool(extended)
    extended = _in_same_files(a, b, every, matches, test)
    matches.update(extended)
    contexts += bool(extended)
    parts = [_match(pair, scored[pair], law, total, part=True) for pair in _parts(a, b, scored, matches)]
    everything = sorted((*matches.values(), *parts), key=lambda m: (m.a, m.part, -m.score, m.b))
    places = np.array([(match.a, match.b) for match in everything], dtype=np.int64).reshape(-1, 2)
    common = held(a.bags, b.bags, Candidates(places[:, 0], places[:, 1])).tolist()
    everything = [replace(match, held=found) for match, found in zip(everything, common, strict=True)]
    return Matches(tuple(everything), total, threshold * contexts)


def _match(pair: tuple[int, int], score: float, law: Law, pairs: float, part: bool = False) -> Match:
    return Match(*pair, score, law.bits(score), law.expected(score, pairs), part)


def _jointly(scored: dict[tuple[int, int], float], a: Side, b: Side, law: Law) -> list[tuple[int, int]]:
    """One-to-one, heaviest first; weights are bits plus the agreement of the neighbours chosen before."""
    weights = {pair: law.bits(score) for pair, score in scored.items()}
    chosen: list[tuple[int, int]] = []
    for _ in range(_ROUNDS):
        partner = dict(chosen)
        weighed = {
            pair: bits + AGREEMENT * _agreement(pair, partner, a, b) if partner else bits
            for pair, bits in weights.items()
        }
        before, chosen = chosen, _heaviest(weighed, a, b)
        if chosen == before:
            break
    return chosen


def _heaviest(weighed: dict[tuple[int, int], float], a: Side, b: Side) -> list[tuple[int, int]]:
    """Greedy one-to-one choice; ties go to equal names, then to the order of the text."""
    ranked = sorted(
        weighed,
        key=lambda pair: (-weighed[pair], a.units[pair[0]].unit.name != b.units[pair[1]].unit.name, pair),
    )
    taken_a: set[int] = set()
    taken_b: set[int] = set()
    chosen = []
    for pair in ranked:
        if pair[0] not in taken_a and pair[1] not in taken_b:
            chosen.append(pair)
            taken_a.add(pair[0])
            taken_b.add(pair[1])
    return sorted(chosen)


def _agreement(pair: tuple[int, int], partner: dict[int, int], a: Side, b: Side) -> int:
    """How many neighbours of A's unit have a partner that is the same kind of neighbour of B's unit."""
    count = 0
    for graph_a, graph_b in ((a.graph.succ, b.graph.succ), (a.graph.pred, b.graph.pred)):
        around_b = graph_b[pair[1]]
        for neighbour, edge in graph_a[pair[0]].items():
            opposite = around_b.get(partner.get(neighbour, -1))
            count += opposite is not None and opposite["kind"] == edge["kind"]
    here = a.units[pair[0]].unit.path, b.units[pair[1]].unit.path
    return count + any(
        partner.get(row) is not None and b.units[partner[row]].unit.path == here[1]
        for row in (pair[0] - 1, pair[0] + 1)
        if 0 <= row < len(a.units) and a.units[row].unit.path == here[0]
    )


def _next_to_matches(
    a: Side, b: Side, seeds: dict[tuple[int, int], Match], test: _Test
) -> dict[tuple[int, int], Match]:
    """Matches next to matches, by their E-value among the pairs that stand next to matches."""
    found: dict[tuple[int, int], Match] = {}
    tried: set[tuple[int, int]] = set()
    scored: dict[tuple[int, int], float] = {}
    for _ in range(_ROUNDS):
        matched = [*seeds, *found]
        left, right = {m[0] for m in matched}, {m[1] for m in matched}
        new = {
            pair
            for match in matched
            for pair in _next_to(match, a, b)
            if pair not in tried and pair[0] not in left and pair[1] not in right
        }
        if not new:
            break
        tried |= new
        rows = sorted(new)
        candidates = Candidates(*np.array(rows, dtype=np.int64).T)
        scored.update(zip(rows, limited(a.bags, b.bags, candidates, test.law).tolist(), strict=True))
        free = {pair: s for pair, s in scored.items() if pair[0] not in left and pair[1] not in right}
        found.update(_significant(a, b, free, float(len(tried)), test))
    return found


def _significant(
    a: Side, b: Side, scored: dict[tuple[int, int], float], possible: float, test: _Test
) -> dict[tuple[int, int], Match]:
    """One-to-one matches among pairs of a context in which `possible` pairs were possible."""
    good = {pair: test.law.bits(s) for pair, s in scored.items() if test.passed(s, possible)}
    return {pair: _match(pair, scored[pair], test.law, possible) for pair in _heaviest(good, a, b)}


def _in_same_files(
    a: Side, b: Side, every: dict[tuple[int, int], float], seeds: dict[tuple[int, int], Match], test: _Test
) -> dict[tuple[int, int], Match]:
    """Matches among the candidates of file pairs that hold several, by E-value among those files' pairs."""
    left, right = {pair[0] for pair in seeds}, {pair[1] for pair in seeds}
    together = Counter((a.units[pair[0]].unit.path, b.units[pair[1]].unit.path) for pair in seeds)
    files = {pair for pair, count in together.items() if count >= _TOGETHER}
    free_a = Counter(unit.unit.path for row, unit in enumerate(a.units) if row not in left)
    free_b = Counter(unit.unit.path for row, unit in enumerate(b.units) if row not in right)
    near = {
        pair: score
        for pair, score in every.items()
        if (a.units[pair[0]].unit.path, b.units[pair[1]].unit.path) in files
        and pair[0] not in left
        and pair[1] not in right
    }
    possible = float(sum(free_a[path_a] * free_b[path_b] for path_a, path_b in files))
    return _significant(a, b, near, possible, test)


def _next_to(match: tuple[int, int], a: Side, b: Side) -> Iterator[tuple[int, int]]:
    """Pairs of neighbours of the same kind, and of members of the same classes."""
    for graph_a, graph_b in ((a.graph.succ, b.graph.succ), (a.graph.pred, b.graph.pred)):
        kinds: dict[str, list[int]] = defaultdict(list)
        for neighbour, edge in graph_b[match[1]].items():
            kinds[edge["kind"]].append(neighbour)
        for neighbour, edge in graph_a[match[0]].items():
            for opposite in kinds[edge["kind"]]:
                yield neighbour, opposite
    yield from _members(match, a, b)


def _members(match: tuple[int, int], a: Side, b: Side) -> Iterator[tuple[int, int]]:
    """Methods beside a matched method, in the classes of both."""
    for parent_a in _parents(match[0], a):
        for parent_b in _parents(match[1], b):
            for member_a in _contained(parent_a, a):
                for member_b in _contained(parent_b, b):
                    yield member_a, member_b


def _parents(row: int, side: Side) -> Iterable[int]:
    return (p for p, edge in side.graph.pred[row].items() if edge["kind"] == "contains")


def _contained(row: int, side: Side) -> list[int]:
    return [member for member, edge in side.graph.succ[row].items() if edge["kind"] == "contains"]


def _parts(
    a: Side, b: Side, scored: dict[tuple[int, int], float], matches: dict[tuple[int, int], Match]
) -> list[tuple[int, int]]:
    """Units without a partner that hold a good part of a unit that has one."""
    left, right = {pair[0] for pair in matches}, {pair[1] for pair in matches}
    own_a, own_b = own_scores(a.bags), own_scores(b.bags)
    parts: list[tuple[int, int]] = []
    ranked = sorted(scored.items(), key=lambda row: (-row[1], row[0]))
    used: set[tuple[str, int]] = set()
    for pair, score in ranked:
        free_a, free_b = pair[0] not in left, pair[1] not in right
        if (
            not (free_a or free_b)
            or (free_a and ("a", pair[0]) in used)
            or (free_b and ("b", pair[1]) in used)
        ):
            continue
        whole = min(own_a[pair[0]] if free_a else np.inf, own_b[pair[1]] if free_b else np.inf)
        if score < _PART**2 * whole:
            continue
        used.add(("a", pair[0]) if free_a else ("b", pair[1]))
        parts.append(pair)
    return parts
