"""Settings that both sides share: config.json and its kin, YAML and TOML, configuration classes, options.

Every place that states settings is a list of entries (dotted key, value). Places of A are paired with places
of B, best first, by the bits of the entries they share; `docs/evidence/config.md` gives the scale.

What everyone writes says nothing: hidden_size=4096 follows from the base model, query_num=96 does not. So
an ordinary key carries at most `ORDINARY_BITS` whatever its value, and only keys that are rare in public
code decide about the strength. An entry that several places repeat counts where it counts most.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from detector.background.rarity import rarities
from detector.evidence.finding import Evidence, Finding, Json, Reason, Rename, Site, Strength
from detector.evidence.known import known
from detector.evidence.rare import rare
from detector.evidence.readers.settings import Settings, read_settings
from detector.evidence.registry import Context
from detector.evidence.vocabulary import Entry
from detector.evidence.wording import count
from detector.match.assignment import one_to_one
from detector.snapshot.model import Snapshot

Weights: TypeAlias = "Mapping[str, tuple[float, bool]]"
ORDINARY_BITS = 0.5
"""most that an entry with an ordinary key carries"""
MOST_VALUE_BITS = 16.0
LEAST_PAIR_BITS = 8.0
"""pairs of places below this are not reported"""
MOST_BITS = 300.0
"""most that one pair of places carries: whoever takes a file takes its entries together"""
_MOST_HOLDERS = 100
"""an entry in more places than this does not help to tell which belong together"""
LEAST_VALUE_BITS = 10.0
"""a value under two different keys is taken for a renamed key from here on"""


@dataclass(frozen=True, slots=True)
class Shared:
    """One entry that both sides hold; `fresh` where no better pair counts it."""

    a: Entry
    b: Entry
    bits: float
    rare: bool
    fresh: bool


def find(a: Snapshot, b: Snapshot, context: Context) -> Evidence:
    """Pairs of places with shared settings, each a finding, and the keys that were renamed in them."""
    settings_a, notices_a = read_settings(a, "a")
    settings_b, notices_b = read_settings(b, "b")
    upstream = {
        entry.text
        for snapshot in context.upstreams
        for place in read_settings(snapshot, "")[0]
        for entry in place.entries
    }
    findings = []
    weights = weigh(entry for place in (*settings_a, *settings_b) for entry in place.entries)
    counted = set(upstream)
    pairs = sorted(_pairs(settings_a, settings_b, weights), key=lambda pair: not _are_files(pair))
    for place_a, place_b in pairs:
        shared = _shared(place_a, place_b, counted, weights)
        finding = _finding(place_a, place_b, shared, weights)
        if finding.strength != "none" and finding.bits >= LEAST_PAIR_BITS:
            findings.append(finding)
            counted |= {item.a.text for item in shared}
    findings.sort(key=lambda finding: -finding.bits)
    renames = tuple(rename for finding in findings for rename in finding.renames)
    return Evidence(tuple(findings), renames=renames, notices=(*notices_a, *notices_b))


def weigh(entries: Iterable[Entry]) -> Weights:
    """(bits, whether the key is rare) of holding the same value under the same key, by `Entry.text`."""
    distinct = {entry.text: entry.key for entry in entries}
    keys = sorted(set(distinct.values()))
    key_bits = dict(zip(keys, rarities("key", keys).tolist(), strict=True))
    rare_keys = {key for key in rare("key", keys) if not key.isdigit()} - known().tool_keys
    weights = {}
    for (text, key), bits in zip(distinct.items(), rarities("entry", distinct).tolist(), strict=True):
        if key in rare_keys:
            weights[text] = (max(key_bits[key], bits), True)
        else:
            weights[text] = (min(ORDINARY_BITS, bits / 40), False)
    return weights


def value_bits(value: str) -> float:
    """Bits of a value by itself, for keys that were renamed: its digits or letters beyond the usual.

    A number has 3.3 bits for each significant digit after the second; powers of two and round numbers have
    few of those. A string has one bit for each character after the tenth. Neither exceeds 16.
    """
    if value.startswith('"'):
        return min(MOST_VALUE_BITS, max(0.0, len(value) - 12.0))
    digits = value.lstrip("-").split("e")[0].replace(".", "").strip("0")
    if not digits.isdigit():
        return 0.0
    number = int(digits)
    return 0.0 if number & (number - 1) == 0 else min(MOST_VALUE_BITS, max(0.0, 3.3 * (len(digits) - 2)))


def _pairs(
    side_a: Sequence[Settings], side_b: Sequence[Settings], weights: Weights
) -> Iterator[tuple[Settings, Settings]]:
    """One-to-one pairs of places by the bits they share, best first."""
    holders: dict[str, list[int]] = defaultdict(list)
    for number, place in enumerate(side_b):
        for text in {entry.text for entry in place.entries}:
            holders[text].append(number)
    bits: dict[tuple[int, int], float] = defaultdict(float)
    for number, place in enumerate(side_a):
        for text in {entry.text for entry in place.entries}:
            if len(holders.get(text, ())) <= _MOST_HOLDERS:
                for other in holders.get(text, ()):
                    bits[number, other] += weights[text][0]
    worthy = [pair for pair, worth in bits.items() if worth >= LEAST_PAIR_BITS]
    ranked = sorted(worthy, key=lambda pair: (-bits[pair], pair))
    for number, other in (ranked[at] for at in one_to_one(ranked)):
        yield side_a[number], side_b[other]


def _are_files(pair: tuple[Settings, Settings]) -> bool:
    """Whether both places are settings files; they come before the code that repeats them as defaults."""
    return not any(place.span.path.endswith(".py") for place in pair)


def _shared(place_a: Settings, place_b: Settings, counted: set[str], weights: Weights) -> list[Shared]:
    """Entries with the same last key and value, those at the same path first; each is used once.

    Entries whose text is `counted` already, in a better pair or upstream, carry nothing more.
    """
    by_path = {(entry.path, entry.value): entry for entry in place_b.entries}
    by_text: dict[str, list[Entry]] = defaultdict(list)
    for entry in place_b.entries:
        by_text[entry.text].append(entry)
    shared = []
    for entry in sorted(place_a.entries, key=lambda entry: (entry.path, entry.value) not in by_path):
        candidates = by_text[entry.text]
        if candidates:
            partner = by_path.get((entry.path, entry.value))
            partner = partner if partner in candidates else candidates[0]
            candidates.remove(partner)
            bits, is_rare = weights[entry.text]
            fresh = entry.text not in counted
            shared.append(Shared(entry, partner, bits if fresh else 0.0, is_rare, fresh))
    return sorted(shared, key=lambda item: (-item.bits, item.a.path))


def _renamed(
    place_a: Settings, place_b: Settings, shared: Sequence[Shared]
) -> list[tuple[Entry, Entry, float]]:
    """Keys of one side that stand for keys of the other: the same unusual value, once on each side."""
    rest_a = _unique_values(set(place_a.entries) - {item.a for item in shared})
    rest_b = _unique_values(set(place_b.entries) - {item.b for item in shared})
    return [
        (rest_a[value], rest_b[value], value_bits(value))
        for value in sorted(rest_a.keys() & rest_b.keys())
        if value_bits(value) >= LEAST_VALUE_BITS and rest_a[value].key != rest_b[value].key
    ]


def _unique_values(entries: set[Entry]) -> dict[str, Entry]:
    values: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        values[entry.value].append(entry)
    return {value: holders[0] for value, holders in values.items() if len(holders) == 1}


def _finding(place_a: Settings, place_b: Settings, shared: Sequence[Shared], weights: Weights) -> Finding:
    renamed = _renamed(place_a, place_b, shared)
    unusual = [item for item in shared if item.rare]
    fresh = sum(item.fresh for item in unusual) + len(renamed)
    title = f"{count(len(shared), 'setting')} with equal values, {len(unusual)} of them under unusual keys"
    if fresh < len(unusual):
        title += f" ({len(unusual) - fresh} counted elsewhere)"
    bits = min(MOST_BITS, sum(item.bits for item in shared) + sum(item[2] for item in renamed))
    site = Site(place_a.span.path, place_a.span.start_line, place_b.span.path, place_b.span.start_line)
    pairs: list[Json] = [
        [item.a.path, item.b.path, item.a.value[:200], round(item.bits, 1)] for item in shared
    ]
    pairs += [[one.path, other.path, one.value[:200], round(worth, 1)] for one, other, worth in renamed]
    held_a = {item.a for item in shared} | {item[0] for item in renamed}
    held_b = {item.b for item in shared} | {item[1] for item in renamed}
    smaller = min(sum(weights[entry.text][1] for entry in place.entries) for place in (place_a, place_b))
    return Finding(
        kind="config",
        title=title,
        strength=strength(bits, fresh, fresh / max(1, smaller)) if fresh or not unusual else "weak",
        bits=round(bits, 1),
        a=(place_a.span,),
        b=(place_b.span,),
        renames=tuple(Rename("key", one.path, other.path, 1, sites=(site,)) for one, other, _ in renamed),
        reasons=tuple(
            Reason(f"{item.a.path} = {item.a.value[:80]}", round(item.bits, 1)) for item in shared[:8]
        ),
        details={
            "pairs": pairs,
            "only_a": [
                f"{entry.path} = {entry.value[:200]}" for entry in place_a.entries if entry not in held_a
            ],
            "only_b": [
                f"{entry.path} = {entry.value[:200]}" for entry in place_b.entries if entry not in held_b
            ],
        },
    )


def strength(bits: float, rare: int, share: float) -> Strength:
    """The scale of docs/evidence/config.md: unusual entries shared, and their share of the smaller side's."""
    if rare >= 20 and bits >= 200 and share >= 0.6:
        return "very strong"
    if rare >= 8 and bits >= 80 and share >= 0.5:
        return "strong"
    if rare >= 3 and bits >= 30 and share >= 0.4:
        return "moderate"
    return "weak" if rare else "none"
