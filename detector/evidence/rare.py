"""Which words public code hardly knows.

How many bits an unseen word carries depends on the size of the background, so rarity is judged from there:
a word is rare if it carries almost as many bits as one that was never seen.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from detector.background.rarity import Kind, rarities, rarity

MARGIN = 1.0
"""bits below those of an unseen word at which a word is still rare: seen twice where once is the least"""


@lru_cache(maxsize=8)
def unseen(kind: Kind) -> float:
    """Bits of something that the background never saw."""
    return rarity(kind, "\0")


def is_rare(kind: Kind, text: str) -> bool:
    """Whether public code hardly holds a text."""
    return rarity(kind, text) >= unseen(kind) - MARGIN


def rare(kind: Kind, texts: Collection[str]) -> set[str]:
    """Those of the texts that public code hardly holds; one look-up for all of them."""
    least = unseen(kind) - MARGIN
    return {text for text, bits in zip(texts, rarities(kind, texts).tolist(), strict=True) if bits >= least}
