"""Spelling mistakes that both sides make.

A word is taken for a mistake when neither public code nor the dictionary (pyspellchecker's English word list)
knows it and one slip of the hand (two letters swapped, one wrong, one missing, one too many; Damerau 1964)
makes it a common word. Both sides slipping alike in the same word is seldom chance.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from detector.evidence.leftover.words import Place, Words
from detector.evidence.rare import rare

if TYPE_CHECKING:
    from spellchecker import SpellChecker

SHORTEST = 6
LEAST_USE = 20_000
"""times the dictionary's texts use the intended word ("the": 76 million)"""
_MOST_WORDS = 400
_PART = re.compile(r"[A-Z]?[a-z]{5,19}(?![a-z])")


def mistakes(a: Words, b: Words) -> dict[str, tuple[str, str, str]]:
    """The intended word, and `path:line` on either side, of each mistake that both sides hold."""
    parts_a, parts_b = _parts(a), _parts(b)
    strange = sorted(rare("word", parts_a.keys() & parts_b.keys()))[:_MOST_WORDS]
    if not strange:
        return {}
    dictionary = _dictionary()
    found = {}
    for word in sorted(dictionary.unknown(strange)):
        if dictionary.known({f"{word[:-at]}'{word[-at:]}" for at in (1, 2)}):
            continue  # a contraction whose apostrophe was dropped on purpose
        intended = dictionary.correction(word)
        if intended and _is_slip(word, intended) and dictionary[intended] >= LEAST_USE:
            found[word] = (intended, a.show(parts_a[word]), b.show(parts_b[word]))
    return found


def _dictionary() -> SpellChecker:
    """The English word list; taken as it is, all lower case, it loads in half the time."""
    from spellchecker import SpellChecker  # noqa: PLC0415 - 60 ms for its word list

    words = files("spellchecker") / "resources" / "en.json.gz"
    with as_file(words) as path:
        return SpellChecker(None, local_dictionary=path, distance=1, case_sensitive=True)


def _is_slip(word: str, intended: str) -> bool:
    """Whether only the middle differs: other first or last letters make another form of a word."""
    same_ends = word[0] == intended[0] and word[-1] == intended[-1]
    is_other_spelling = word.replace("s", "z") == intended.replace("s", "z")
    return same_ends and intended.isalpha() and word != intended and not is_other_spelling


def _parts(words: Words) -> dict[str, Place]:
    """Lower-case words inside names, texts and prose."""
    parts: dict[str, Place] = {}
    for held in (words.places["name"], words.places["prose"], words.places["string"]):
        _take(held, parts)
    return parts


def _take(held: Mapping[str, Place], parts: dict[str, Place]) -> None:
    for text, place in held.items():
        for part in _PART.findall(text[:4000]):
            if len(part) >= SHORTEST:
                parts.setdefault(part.lower(), place)
