"""Rarity of words: identifiers, string literals, settings keys and settings entries.

Four tables of the background, one for each kind. `detector.evidence.vocabulary` says what the things are;
the tables are counted with the same functions, so a rarity is always that of the thing found.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from detector.background.hashing import digests

Kind = Literal["word", "text", "key", "entry"]
"""identifier; string literal; last key of a settings entry; `key=value` with the value as canonical JSON"""
KINDS: tuple[Kind, ...] = get_args(Kind)


def rarity(kind: Kind, text: str) -> float:
    """Bits that one text carries: -log2 of the share of public files that hold it."""
    return _rarity(kind, text)


def rarities(kind: Kind, texts: Iterable[str]) -> NDArray[np.float32]:
    """Bits of each text, in order; much faster than one call for each."""
    from detector.background.background import Background  # noqa: PLC0415

    return Background.open().words[kind].bits(digests(texts))


@lru_cache(maxsize=65536)
def _rarity(kind: Kind, text: str) -> float:
    return float(rarities(kind, (text,))[0])
