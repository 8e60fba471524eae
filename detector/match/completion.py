"""Complete pairs in the places that matches leave open: taken along, though too ordinary to tell it.

A constructor that sets two attributes, or a layer that applies two others, holds nothing that coincidence
could not bring. In a copied file it was copied as well, and a reader of the report looks for it. So pairs of
functions that are *complete* (`STATEMENTS` statements or more, the very same terms on both sides) are looked
for in places where few pairs are possible:

- the members of two classes of which other members, or the classes themselves, are matched;
- the functions between two matches that follow one another in both files: collinear blocks, as of genes
  between anchors (Haas et al. 2004).

The share q of pairs of unrelated functions that are complete is measured, not derived (docs/statistics.md);
with n pairs possible in all the places that are looked at, E = q * n. Places are taken in order of size, as
many as keep E below the threshold: the size of a place says nothing of whether a pair in it is complete.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from detector.match.assignment import Pair, one_to_one
from detector.match.side import Side

STATEMENTS = 4
"""fewest statements of a function that can be complete: shorter ones are complete ten times as often"""


@dataclass(frozen=True, slots=True)
class Place:
    """Functions without a partner on either side, in the order of the text, that could be each other's."""

    a: tuple[int, ...]
    b: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of possible pairs."""
        return len(self.a) * len(self.b)


@dataclass(frozen=True, slots=True)
class Completion:
    """Complete pairs and the number of pairs that were possible where they were looked for."""

    pairs: tuple[Pair, ...]
    possible: int


def complete(a: Side, b: Side, matched: Iterable[Pair], most: float) -> Completion:
    """Look for complete pairs next to `matched`, in places of at most `most` possible pairs together."""
    partner = dict(matched)
    free_a = {row for row in telling(a) if row not in partner}
    free_b = telling(b) - set(partner.values())
    found: list[Pair] = []
    possible = 0
    for place in sorted(
        _places(a, b, partner, free_a, free_b), key=lambda place: (place.size, place.a, place.b)
    ):
        if possible + place.size > most:
            break
        possible += place.size
        for pair in _equal(place, a, b):
            if pair[0] in free_a and pair[1] in free_b:
                free_a.remove(pair[0])
                free_b.remove(pair[1])
                found.append(pair)
    return Completion(tuple(found), possible)


def telling(side: Side) -> set[int]:
    """Functions and methods of enough statements; the first statement is the signature."""
    return {
        row
        for row, unit in enumerate(side.units)
        if side.is_function(row) and len(unit.statements) > STATEMENTS
    }


def _equal(place: Place, a: Side, b: Side) -> Iterator[Pair]:
    """Pairs of a place with the very same terms; of several equal ones those of one name first."""
    by_terms: dict[bytes, list[int]] = defaultdict(list)
    for row in place.b:
        by_terms[b.bags.of(row)[0].tobytes()].append(row)
    pairs = [(row, other) for row in place.a for other in by_terms[a.bags.of(row)[0].tobytes()]]
    yield from sorted(pairs, key=lambda pair: (a.last_name(pair[0]) != b.last_name(pair[1]), pair))


def _places(a: Side, b: Side, partner: Mapping[int, int], free_a: set[int], free_b: set[int]) -> set[Place]:
    """The places with functions on both sides."""
    found = [
        *((a.members(left), b.members(right)) for left, right in _class_pairs(a, b, partner)),
        *_between(a, b, partner),
    ]
    places = {
        Place(tuple(x for x in left if x in free_a), tuple(y for y in right if y in free_b))
        for left, right in found
    }
    return {place for place in places if place.size}


def _class_pairs(a: Side, b: Side, partner: Mapping[int, int]) -> list[Pair]:
    """Classes that matches make each other's counterpart, one to one: those that most matches agree on."""
    votes: Counter[Pair] = Counter()
    for left, right in partner.items():
        if a.units[left].unit.kind == b.units[right].unit.kind == "class":
            votes[left, right] += 1
        class_a, class_b = a.class_of(left), b.class_of(right)
        if class_a is not None and class_b is not None:
            votes[class_a, class_b] += 1
    ranked = sorted(votes, key=lambda pair: (-votes[pair], pair))
    return [ranked[at] for at in one_to_one(ranked)]


def _between(a: Side, b: Side, partner: Mapping[int, int]) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
    """What stands between two matches that follow one another in both files."""
    rows = sorted(partner)
    for left, following in pairwise(rows):
        right, beyond = partner[left], partner[following]
        same_files = (
            a.units[left].unit.path == a.units[following].unit.path
            and b.units[right].unit.path == b.units[beyond].unit.path
        )
        if same_files and right < beyond:
            yield range(left + 1, following), range(right + 1, beyond)
