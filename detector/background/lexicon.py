"""The words of a package: in how many of its places each identifier, literal, key and entry stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.background.corpus import SETTINGS, Package
from detector.background.hashing import digests
from detector.background.rarity import KINDS, Kind
from detector.evidence.readers.defaults import read_defaults
from detector.evidence.readers.tree import Unreadable, read_tree
from detector.evidence.vocabulary import Entry, entries, identifiers, literals

_LARGEST_SETTINGS = 2**18
"""bytes; larger files hold data, not settings"""
_SECONDS = 5.0
"""time for the syntax tree of one file"""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Hashes of the distinct things of one kind, the number of places that hold each, and of places in all.

    A place is a Python file for words and texts, and for keys and entries a settings file or a
    configuration class.
    """

    hashes: NDArray[np.uint64]
    counts: NDArray[np.uint32]
    places: int


def read_lexicons(package: Package) -> dict[Kind, Lexicon]:
    """Count a package. Files that cannot be read are passed over."""
    counts: dict[Kind, Counter[str]] = {kind: Counter() for kind in KINDS}
    places = dict.fromkeys(KINDS, 0)
    for found in _places(package):
        for kind, texts in found.items():
            counts[kind].update(texts)
            places[kind] += 1
    return {kind: _lexicon(counts[kind], places[kind]) for kind in KINDS}


def _places(package: Package) -> Iterator[dict[Kind, frozenset[str]]]:
    for path, content in package.read((".py",)):
        yield {"word": identifiers(content), "text": literals(content)}
        for defaults in read_defaults(path, content, _SECONDS):
            yield _settings(defaults.entries)
    for path, content in package.read(SETTINGS):
        if len(content) <= _LARGEST_SETTINGS:
            try:
                yield _settings(entries(read_tree(path, content)))
            except Unreadable:
                continue


def _settings(leaves: tuple[Entry, ...]) -> dict[Kind, frozenset[str]]:
    return {
        "key": frozenset(leaf.key for leaf in leaves),
        "entry": frozenset(leaf.text for leaf in leaves),
    }


def _lexicon(counts: Counter[str], places: int) -> Lexicon:
    hashes = digests(counts)
    numbers = np.fromiter(counts.values(), np.uint32, len(counts))
    order = np.argsort(hashes)
    return Lexicon(hashes[order], numbers[order], places)
