"""Spelling mistakes that both sides make.

A word is taken for a mistake when neither public code nor the dictionary (pyspellchecker's English word list)
knows it and one slip of the hand (two letters swapped, one wrong, one missing, one too many; Damerau 1964)
makes it a common word. Both sides slipping alike in the same word is seldom chance.

Few words are one slip from a common one, so these are looked for first, in a list of their own:
`common_words.txt`, the dictionary's words of at least `LEAST_USE`, most used first (by Tyler Barrus, MIT).
"""

from __future__ import annotations

import gzip
import re
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

from detector.evidence.rare import rare
from detector.evidence.words import Place, Words

SHORTEST = 6
LEAST_USE = 20_000
"""times the dictionary's texts use a common word ("the": 76 million)"""
_MOST_WORDS = 400
_PART = re.compile(r"[A-Z]?[a-z]{5,19}(?![a-z])")


def mistakes(a: Words, b: Words) -> dict[str, tuple[str, str, str]]:
    """The intended word, and `path:line` on either side, of each mistake that both sides hold."""
    parts_a, parts_b = _parts(a), _parts(b)
    strange = sorted(rare("word", parts_a.keys() & parts_b.keys()))[:_MOST_WORDS]
    slips = {word: intended for word in strange if (intended := _intended(word))}
    if not slips:
        return {}
    dictionary = _dictionary()
    return {
        word: (intended, a.show(parts_a[word]), b.show(parts_b[word]))
        for word, intended in slips.items()
        if not any(f'"{form}":' in dictionary for form in _forms(word))
    }


def _intended(word: str) -> str:
    """The most used word one slip away, if only the middle differs; "" if there is none.

    Other first or last letters make another form of a word.
    """
    if not any(_is_one_slip(word, other) for other in _by_ends().get((word[0], word[-1]), ())):
        return ""
    intended = next(other for other in common_words() if _is_one_slip(word, other))
    same_ends = word[0] == intended[0] and word[-1] == intended[-1]
    is_mistake = same_ends and intended.isalpha() and _american(word) != _american(intended)
    return intended if is_mistake else ""


def _american(word: str) -> str:
    """One spelling for the British and the American one: the dictionary is American for the most part."""
    return word.replace("s", "z").replace("our", "or").replace("tre", "ter").replace("ll", "l")


def _is_one_slip(word: str, other: str) -> bool:
    if word == other or abs(len(word) - len(other)) > 1:
        return False
    at = next((at for at, (one, two) in enumerate(zip(word, other, strict=False)) if one != two), None)
    if at is None:  # the longer one goes on for one letter
        return True
    one, two = word[at:], other[at:]
    is_swapped = one[1::-1] == two[:2] and one[2:] == two[2:]
    return is_swapped or one[1:] == two[1:] or one[1:] == two or one == two[1:]


def _forms(word: str) -> tuple[str, str, str]:
    """The word itself, and contractions whose apostrophe may have been dropped on purpose."""
    return word, f"{word[:-1]}'{word[-1:]}", f"{word[:-2]}'{word[-2:]}"


@lru_cache(maxsize=1)
def common_words() -> tuple[str, ...]:
    """Words that English texts use often, the most used first."""
    return tuple((files("detector.evidence.leftover") / "common_words.txt").read_text("utf-8").split())


@lru_cache(maxsize=1)
def _by_ends() -> Mapping[tuple[str, str], list[str]]:
    words: dict[tuple[str, str], list[str]] = defaultdict(list)
    for word in common_words():
        words[word[0], word[-1]].append(word)
    return words


def _dictionary() -> str:
    """The English word list as JSON text: a search of it takes a hundredth of the time of parsing it."""
    packed = (files("spellchecker") / "resources" / "en.json.gz").read_bytes()
    return gzip.decompress(packed).decode("utf-8")


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
