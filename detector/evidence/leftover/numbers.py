"""The numbers of both sides: a rewriting hand keeps the numbers that a model was made with.

Two hands that work from one specification share the numbers it dictates, and each has others besides; who
rewrites a program has nearly the same list, nothing missing and nothing more. That is measured twice: by the
shared part of the *unusual* numbers of either side (Jaccard 1901), each weighed by its rarity; and by *all*
numbers, as two records are linked (Fellegi and Sunter 1969): one that both hold speaks a little for a copy,
one that only one side holds speaks much against it.

How unusual a number is depends on where it stands: one function in 450 holds 0.99, but nearly every setting
called `discount` is 0.99. So a number counts as rare as it is in public functions, or as it is under a name
that either side gives it, whichever is less.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.background.rarity import rarities
from detector.evidence.known import known
from detector.evidence.rare import rare
from detector.evidence.vocabulary import canonical, lexemes
from detector.evidence.words import Words
from detector.fingerprint.term import constant

LEAST_BITS = 8.0
"""a number that one public function in 256 holds is to be expected in any repository of that size: what is
unusual in others is what goes beyond"""
LARGEST_ORDINARY = 10
"""whole numbers up to here count things, axes and layers, and are not unusual"""
EVERYDAY = 4
"""whole numbers up to here are in every program"""
KEPT = 0.95
"""share of the numbers of a program and its copy that both hold (docs/evidence/leftovers.md)"""
_LONGEST = 40
_REACH = 160
"""characters before a number in which its name is looked for"""
_GIVEN = re.compile(r"[=:]\s{0,4}\(?(\d[\w.]*(?:(?<=[eE])[-+]\d+)?)")
"""a number that is assigned, passed by keyword, or the value of a key"""
_EMAN = re.compile(r"\s{0,4}(?:[^=:,(){}\n]{1,40}:)?[\"']?(\w{1,60})")
"""the name before it, perhaps with an annotation, in reversed text: so the search has one place to start"""
_OPTION = re.compile(r"[\"']--?(\w[\w-]{0,60})[\"'][^()]*\Z")


@dataclass(frozen=True, slots=True)
class Common:
    """The numbers of two sides, as A writes them (`written_b`: as B does) or how many one side has alone.

    `unusual` are the bits of the unusual ones that both hold, `share` the part of the bits of all unusual
    ones that these carry, 0 where there are none. `others` are the rest that both hold, and what each adds to
    `link`: log2 of how much likelier a copy is than a hand of other habits to leave such lists of numbers.
    """

    unusual: Mapping[str, float]
    share: float
    others: Mapping[str, float]
    link: float
    written_b: Mapping[str, str]
    only_a: int
    only_b: int


def common_numbers(a: Words, b: Words, upstreams: Collection[Words]) -> Common:
    """Compare the numbers of two sides by value.

    What an upstream holds, and the field's own constants, count for neither side.
    """
    held_a, held_b = values(a), values(b)
    passed = {value for words in upstreams for value in values(words)}
    passed |= {float(text) for text in known().constants}
    bits = rarity((held_a.keys() | held_b.keys()) - passed, (a, b))
    both = {value: rare for value, rare in bits.items() if value in held_a and value in held_b}
    gains = {value: math.log2(KEPT / by_chance(rare)) for value, rare in both.items()}
    beyond = {value: excess for value, rare in bits.items() if (excess := unusual(value, rare)) > 0}
    total = sum(beyond.values())
    return Common(
        unusual={held_a[value]: excess for value, excess in beyond.items() if value in both},
        share=sum(beyond.get(value, 0.0) for value in both) / total if total else 0.0,
        others={held_a[value]: gain for value, gain in gains.items() if value not in beyond},
        link=link(bits, both),
        written_b={held_a[value]: held_b[value] for value in both},
        only_a=len((bits.keys() & held_a.keys()) - both.keys()),
        only_b=len((bits.keys() & held_b.keys()) - both.keys()),
    )


def link(bits: Mapping[float, float], both: Collection[float]) -> float:
    """log2 of how much likelier a copy is than a hand of other habits to leave two lists of numbers: `bits`
    is the rarity of each, `both` those that stand on both lists.
    """
    return math.fsum(
        math.log2(KEPT / by_chance(rare) if value in both else (1 - KEPT) / (1 - by_chance(rare)))
        for value, rare in bits.items()
    )


def link_of_texts(a: str, b: str) -> float:
    """The link between the numbers of two pieces of code."""
    held_a, held_b = (
        {value for text in lexemes(code).numbers if (value := _value(text)) is not None} for code in (a, b)
    )
    passed = {float(text) for text in known().constants}
    return link(rarity((held_a | held_b) - passed, ()), held_a & held_b)


def values(words: Words) -> dict[float, str]:
    """The numbers of one side by value, each as it is first written."""
    held: dict[float, str] = {}
    for text in words.places["number"]:
        value = _value(text)
        if value is not None:
            held.setdefault(value, text)
    return held


def rarity(numbers: Collection[float], sides: Collection[Words]) -> dict[float, float]:
    """The bits of each number that is not in every program, given its names on either side; sorted."""
    candidates = sorted(value for value in numbers if value > EVERYDAY or not value.is_integer())
    plain = dict(zip(candidates, _bits(candidates).tolist(), strict=True))
    expected = _under_their_names(plain.keys(), sides)
    return {value: min(bits, expected.get(value, bits)) for value, bits in plain.items()}


def unusual(number: float, bits: float) -> float:
    """The bits of a number beyond what is to be expected; 0 for one that is not unusual."""
    counts = number <= LARGEST_ORDINARY and number.is_integer()
    return 0.0 if counts else round(max(0.0, bits - LEAST_BITS), 1)


def by_chance(bits: float) -> float:
    """The chance that two hands of other habits, at one specification, hold a number that either holds.

    Read off the honest pairs of such hands (docs/evidence/leftovers.md): common numbers are chosen alike.
    """
    return min(0.8, max(0.25, 1 - bits / 14))


def _bits(numbers: Collection[float]) -> NDArray[np.float32]:
    """-log2 of the share of public functions that hold each number."""
    from detector.background.background import Background  # noqa: PLC0415  the table opens where it is used

    hashes = (constant(value).exact1 for value in numbers)
    return Background.open().bits(np.fromiter(hashes, np.uint64, len(numbers)))


def _under_their_names(numbers: Collection[float], sides: Collection[Words]) -> dict[float, float]:
    """For numbers that public settings give to a name which they have here: the least -log2 P(number | name).

    Where the background never saw the name with this number, it cannot tell, and says nothing.
    """
    entries: dict[str, tuple[float, str]] = {}
    for words in sides:
        for value, names in _names(numbers, words).items():
            plain = canonical(value)
            entries |= {f"{name}={plain}": (value, name) for name in names}
    seen = sorted(entries.keys() - rare("entry", entries.keys()))
    joint = rarities("entry", seen).tolist()
    alone = rarities("key", [entries[entry][1] for entry in seen]).tolist()
    least: dict[float, float] = {}
    for entry, together, name in zip(seen, joint, alone, strict=True):
        value = entries[entry][0]
        least[value] = min(least.get(value, math.inf), max(0.0, together - name))
    return least


def _names(numbers: Collection[float], words: Words) -> dict[float, set[str]]:
    """Under which names one side's code gives these numbers: variables, fields, keywords, keys, options."""
    found: dict[float, set[str]] = defaultdict(set)
    for text in words.texts.values():
        for given in _GIVEN.finditer(text):
            value = _value(given[1])
            if value is not None and value in numbers:
                name = _name(text[max(0, given.start() - _REACH) : given.start()])
                if name:
                    found[value].add(name)
    return found


def _name(before: str) -> str:
    """The name that text before `=` or `:` ends with; of an option's default, the option. "" for none."""
    found = _EMAN.match(before[::-1])
    name = found[1][::-1] if found else ""
    if name == "default" and (option := _OPTION.search(before)):
        return option[1].replace("-", "_")
    return name


def _value(text: str) -> float | None:
    """The value of a number as Python source writes it; None for what is none or exceeds a float."""
    if len(text) > _LONGEST:
        return None
    try:
        value = float(text) if text[:2].lower() not in ("0x", "0o", "0b") else float(int(text, 0))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
