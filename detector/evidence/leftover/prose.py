"""Comments and docstrings that agree, also when lightly rephrased: sets of word shingles (Broder 1997)."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

SHINGLE = 4
"""words in a row"""
LEAST_WORDS = 8
CONTAINED = 0.6
"""share of the shorter text's shingles that the longer one holds"""
BITS_PER_SHINGLE = 3.0
MOST_BITS = 40.0
_MOST_HOLDERS = 20
"""a shingle in more texts of one side is a phrase of that house, or boilerplate"""
_MOST_WORDS = 2_000
_WORD = re.compile(r"[^\W_]+")
_PUBLIC = (
    "license", "licence", "copyright", "warrant", "all rights reserved", "-*-", "noqa", "type: ignore",
    "pylint", "fmt: o", "adapted from", "copied from", "borrowed from", "taken from", "modified from",
    "based on", "http://", "https://",
)  # fmt: skip
"""marks of licences, credits and directives, in lower case"""


@dataclass(frozen=True, slots=True)
class Alike:
    """Two texts, one of either side, that share most of the shorter one's shingles. `share`: 1 is all."""

    a: str
    b: str
    share: float
    bits: float


def countable(texts: Iterable[str]) -> list[str]:
    """The texts long enough to compare; licences, credits and directives to tools are not among them."""
    return [text for text in texts if len(_WORD.findall(text[:400])) >= LEAST_WORDS and not _is_public(text)]


def _is_public(text: str) -> bool:
    lowered = text.lower()
    return any(mark in lowered for mark in _PUBLIC)


def alike(a: Iterable[str], b: Iterable[str]) -> list[Alike]:
    """Pairs of `countable` texts, each at most once, equal ones first. Time is linear in their words."""
    texts_a, texts_b = set(a), set(b)
    exact = sorted(texts_a & texts_b)
    chosen = [Alike(text, text, 1.0, _bits(len(_shingles(text)))) for text in exact]
    shingles_a = {text: _shingles(text) for text in sorted(texts_a.difference(exact))}
    shingles_b = {text: _shingles(text) for text in sorted(texts_b.difference(exact))}
    holders: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for text, shingles in shingles_b.items():
        for shingle in shingles:
            holders[shingle].append(text)
    pairs = [
        pair
        for text, shingles in shingles_a.items()
        for pair in _partners(text, shingles, shingles_b, holders)
    ]
    pairs.sort(key=lambda pair: (-pair.bits, -pair.share, pair.a, pair.b))
    taken: set[tuple[str, str]] = set()
    for pair in pairs:
        if not {("a", pair.a), ("b", pair.b)} & taken:
            taken |= {("a", pair.a), ("b", pair.b)}
            chosen.append(pair)
    return chosen


def _partners(
    text: str,
    shingles: frozenset[tuple[str, ...]],
    others: Mapping[str, frozenset[tuple[str, ...]]],
    holders: Mapping[tuple[str, ...], list[str]],
) -> list[Alike]:
    found = (holders.get(shingle, ()) for shingle in shingles)
    common = Counter(chain.from_iterable(each for each in found if len(each) <= _MOST_HOLDERS))
    partners = []
    for other, count in common.items():
        share = count / min(len(shingles), len(others[other]))
        if share >= CONTAINED and count >= LEAST_WORDS - SHINGLE:
            partners.append(Alike(text, other, share, _bits(count)))
    return partners


def _bits(shingles: int) -> float:
    return min(MOST_BITS, BITS_PER_SHINGLE * shingles)


def _shingles(text: str) -> frozenset[tuple[str, ...]]:
    words = [word.lower() for word in _WORD.findall(text)[:_MOST_WORDS]]
    return frozenset(zip(*(words[at:] for at in range(SHINGLE)), strict=False))
