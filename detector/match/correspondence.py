"""Which unit of B stands for which unit of A: chosen jointly, by bits and by the agreement of neighbours.

Seed and extend, as in sequence search (Altschul et al. 1990) and network alignment (Kuchaiev et al. 2010):

1. *Seeds* are the candidate pairs that coincidence does not explain in a comparison of all with all
   (E <= threshold). Of pairs that compete for a unit the one with more bits wins, where every
   matched neighbour that agrees (a caller with its caller, a method with its class and with the other methods
   of the class) is worth `AGREEMENT`.
2. *Extension*: next to a match (members of the same class pair, callees, callers, bases, neighbours in the
   same pair of files) only few pairs are possible, so fewer bits suffice: E counts those pairs alone.
3. *Completion* (detector/match/completion.py): functions with the very same terms in the places that the
   matches leave open, however ordinary they are.
4. *Split and merged*: a unit that is left without a partner may hold a part of one that has its own. Then
   the pair must be a seed by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from math import log2
from typing import Literal

import numpy as np

from detector.candidate.candidate import Candidates
from detector.fingerprint.piece import DEPTH
from detector.match.assignment import Pair, one_to_one
from detector.match.chance import WEIGHT, Law
from detector.match.completion import complete
from detector.match.pooling import pools
from detector.match.side import Side
from detector.match.significance import Scored, Significance

AGREEMENT = 6.0
"""bits that one agreeing neighbour is worth when pairs compete"""
_ROUNDS = 6
_TOGETHER = 2
"""matches that make two files a pair"""
_PART = 0.35
"""share of its own score that a left-over unit must find in a unit that has a partner"""


Basis = Literal["pair", "class", "place"]
"""an E-value of the pair alone, of all that the classes of the two have in common, or of a place where few
pairs were possible and this one is complete"""


@dataclass(frozen=True, slots=True)
class Match:
    """Row `a` of A's units and row `b` of B's, with score and E-value.

    `part` marks a pair that stands beside the main match of one of its units; `held` is what the two
    have in common, to be compared with their scores with themselves. `basis` says what the E-value is of.
    """

    a: int
    b: int
    score: float
    bits: float
    e_value: float
    part: bool = False
    held: float = 0.0
    basis: Basis = "pair"


@dataclass(frozen=True, slots=True)
class Matches:
    """The chosen correspondences, the number of pairs they were chosen from, and what chance would give."""

    matches: tuple[Match, ...]
    pairs: float
    chance_findings: float


def correspond(a: Side, b: Side, pairs: Candidates, test: Significance) -> Matches:
    """Choose the correspondences between two sides among candidates and pairs next to matches."""
    every = test.scored(pairs)
    matches = _seeds(a, b, every, test)
    contexts = len({"pair", *(match.basis for match in matches.values())})
    extended = _next_to_matches(a, b, matches, test)
    matches.update(extended)
    contexts += bool(extended)
    extended = _in_same_files(a, b, every, matches, test)
    matches.update(extended)
    contexts += bool(extended)
    completed = _completed(a, b, matches, test)
    matches.update(completed)
    contexts += bool(completed)
    parts = _parts(a, b, every, matches, test)
    everything = sorted((*matches.values(), *parts), key=lambda m: (m.a, m.part, -m.score, m.b))
    held = test.common.held(Candidates.of((match.a, match.b) for match in everything)).tolist()
    everything = [replace(match, held=found) for match, found in zip(everything, held, strict=True)]
    return Matches(tuple(everything), _possible(a, b), test.threshold * contexts)


def _possible(a: Side, b: Side) -> float:
    return float(len(a.units)) * len(b.units)


def _seeds(a: Side, b: Side, every: Scored, test: Significance) -> dict[Pair, Match]:
    """One-to-one matches among all pairs: those that are beyond coincidence alone, or by their classes."""
    possible: dict[Pair, Match] = {}
    for pool in sorted(pools(a, b, every, test), key=lambda pool: -pool.e_value):
        for row in pool.rows:
            pair = int(every.pairs.a[row]), int(every.pairs.b[row])
            score = float(every.scores[row])
            possible[pair] = Match(*pair, score, test.law.bits(score), pool.e_value, basis="class")
    alone = every.from_score(test.least(_possible(a, b)))
    possible.update((pair, _match(pair, score, test.law, _possible(a, b))) for pair, score in alone.items())
    chosen = _jointly({pair: match.bits for pair, match in possible.items()}, a, b)
    return {pair: possible[pair] for pair in chosen}


def _match(pair: Pair, score: float, law: Law, pairs: float) -> Match:
    return Match(*pair, score, law.bits(score), law.expected(score, pairs))


def _jointly(weights: Mapping[Pair, float], a: Side, b: Side) -> list[Pair]:
    """One-to-one, heaviest first; weights are bits plus the agreement of the neighbours chosen before."""
    chosen: list[Pair] = []
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


def _heaviest(weighed: Mapping[Pair, float], a: Side, b: Side) -> list[Pair]:
    """Greedy one-to-one choice."""
    ranked = _ranked(weighed, a, b)
    return sorted(ranked[at] for at in one_to_one(ranked))


def _ranked(weighed: Mapping[Pair, float], a: Side, b: Side) -> list[Pair]:
    """Heaviest first; ties go to equal names, then to smaller units (a caller holds its pieces, and is not
    one of them), then to the order of the text.
    """
    size_a, size_b = a.bags.sizes.tolist(), b.bags.sizes.tolist()

    def rank(pair: Pair) -> tuple[float, bool, int, Pair]:
        same_name = a.units[pair[0]].unit.name == b.units[pair[1]].unit.name
        return -weighed[pair], not same_name, size_a[pair[0]] + size_b[pair[1]], pair

    return sorted(weighed, key=rank)


def _agreement(pair: Pair, partner: dict[int, int], a: Side, b: Side) -> int:
    """How many neighbours of A's unit have a partner that is the same kind of neighbour of B's unit."""
    count = 0
    for around_a, around_b in _around(pair, a, b):
        count += sum(around_b.get(partner.get(neighbour, -1)) == kind for neighbour, kind in around_a.items())
    beside_b = set(b.beside(pair[1]))
    count += sum(partner.get(member) in beside_b for member in a.beside(pair[0]))
    here = a.units[pair[0]].unit.path, b.units[pair[1]].unit.path
    return count + any(
        partner.get(row) is not None and b.units[partner[row]].unit.path == here[1]
        for row in (pair[0] - 1, pair[0] + 1)
        if 0 <= row < len(a.units) and a.units[row].unit.path == here[0]
    )


def _next_to_matches(a: Side, b: Side, seeds: dict[Pair, Match], test: Significance) -> dict[Pair, Match]:
    """Matches next to matches, by their E-value among the pairs that stand next to matches."""
    found: dict[Pair, Match] = {}
    tried: set[Pair] = set()
    scored: dict[Pair, float] = {}
    for _ in range(_ROUNDS):
        matched = [*seeds, *found]
        left, right = {m[0] for m in matched}, {m[1] for m in matched}
        new = {
            pair
            for match in matched
            for pair in next_to(match, a, b)
            if pair not in tried and pair[0] not in left and pair[1] not in right
        }
        if not new:
            break
        tried |= new
        scored.update(test.scored(Candidates.of(sorted(new))).from_score(0.0))
        free = {pair: s for pair, s in scored.items() if pair[0] not in left and pair[1] not in right}
        found.update(_significant(a, b, free, float(len(tried)), test))
    return found


def _significant(
    a: Side, b: Side, scored: dict[Pair, float], possible: float, test: Significance
) -> dict[Pair, Match]:
    """One-to-one matches among pairs of a context in which `possible` pairs were possible."""
    least = test.least(possible)
    good = {pair: test.law.bits(score) for pair, score in scored.items() if score >= least}
    return {pair: _match(pair, scored[pair], test.law, possible) for pair in _heaviest(good, a, b)}


def _in_same_files(
    a: Side, b: Side, every: Scored, seeds: dict[Pair, Match], test: Significance
) -> dict[Pair, Match]:
    """Matches among the candidates of file pairs that hold several, by E-value among those files' pairs."""
    left, right = {pair[0] for pair in seeds}, {pair[1] for pair in seeds}
    together = Counter((a.units[pair[0]].unit.path, b.units[pair[1]].unit.path) for pair in seeds)
    files = {pair for pair, count in together.items() if count >= _TOGETHER}
    free_a = Counter(unit.unit.path for row, unit in enumerate(a.units) if row not in left)
    free_b = Counter(unit.unit.path for row, unit in enumerate(b.units) if row not in right)
    possible = float(sum(free_a[path_a] * free_b[path_b] for path_a, path_b in files))
    near = {
        pair: score
        for pair, score in every.from_score(test.least(possible)).items()
        if (a.units[pair[0]].unit.path, b.units[pair[1]].unit.path) in files
        and pair[0] not in left
        and pair[1] not in right
    }
    return _significant(a, b, near, possible, test)


def _completed(a: Side, b: Side, matches: Mapping[Pair, Match], test: Significance) -> dict[Pair, Match]:
    """Complete pairs next to matches, by their E-value among the pairs that were possible there."""
    found = complete(a, b, list(matches), test.threshold / test.law.complete)
    score = test.scored(Candidates.of(found.pairs)).scores.tolist()
    least = -log2(test.law.complete)
    bits = [max(least, test.law.bits(each)) for each in score]
    return {
        pair: Match(*pair, score=each, bits=carried, e_value=found.possible * 2.0**-carried, basis="place")
        for pair, each, carried in zip(found.pairs, score, bits, strict=True)
    }


def next_to(match: Pair, a: Side, b: Side) -> Iterator[Pair]:
    """Pairs of neighbours of the same kind, and of members of the same classes."""
    for around_a, around_b in _around(match, a, b):
        for neighbour, kind in around_a.items():
            for opposite, kind_b in around_b.items():
                if kind_b == kind:
                    yield neighbour, opposite
    yield from _members(match, a, b)


def _around(pair: Pair, a: Side, b: Side) -> Iterator[tuple[Mapping[int, str], Mapping[int, str]]]:
    """Neighbours (and kinds of edges) of A's unit and of B's: those they lead to, those that lead to them."""
    yield a.graph.successors[pair[0]], b.graph.successors[pair[1]]
    yield a.graph.predecessors[pair[0]], b.graph.predecessors[pair[1]]


def _members(match: Pair, a: Side, b: Side) -> Iterator[Pair]:
    """Methods beside a matched method, in the classes of both."""
    return product(a.beside(match[0]), b.beside(match[1]))


def _parts(a: Side, b: Side, every: Scored, matches: Mapping[Pair, Match], test: Significance) -> list[Match]:
    """Units without a partner that hold a good part of a unit that has one, beyond coincidence alone.

    A caller that merely holds the other's partner, as a piece that is walked there, is no news.
    """
    scored = every.from_score(test.least(_possible(a, b)))
    left, right = dict(matches.keys()), {pair[1]: pair[0] for pair in matches}
    own_a, own_b = test.common.own_a, test.common.own_b
    parts: list[Match] = []
    used: set[tuple[str, int]] = set()
    for pair in _ranked(scored, a, b):
        free_a, free_b = pair[0] not in left, pair[1] not in right
        if (
            not (free_a or free_b)
            or (free_a and ("a", pair[0]) in used)
            or (free_b and ("b", pair[1]) in used)
        ):
            continue
        whole = min(own_a[pair[0]] if free_a else np.inf, own_b[pair[1]] if free_b else np.inf)
        if scored[pair] < _PART ** (1 + WEIGHT) * whole:
            continue
        if free_a and right.get(pair[1]) in _called(pair[0], a):
            continue
        if free_b and left.get(pair[0]) in _called(pair[1], b):
            continue
        used.add(("a", pair[0]) if free_a else ("b", pair[1]))
        parts.append(replace(_match(pair, scored[pair], test.law, _possible(a, b)), part=True))
    return parts


def _called(row: int, side: Side) -> set[int]:
    """The units that a unit calls, those that they call, and so on as deep as pieces are walked."""
    found, last = set[int](), {row}
    for _ in range(DEPTH):
        last = {to for each in last for to, kind in side.graph.successors[each].items() if kind == "calls"}
        found |= last
    return found
