"""How alike the tensor names of two checkpoints are, and how much of that a common architecture leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from detector.background.rarity import rarity
from detector.evidence.checkpoints.collection import Checkpoint
from detector.evidence.checkpoints.layout import Tensor
from detector.evidence.checkpoints.nametree import pattern
from detector.evidence.checkpoints.renaming import Renaming, best_renaming
from detector.evidence.checkpoints.standard import architecture

_LEAST_BITS, _MOST_BITS = 4.0, 12.0
"""a commoner name carries nothing; a rarer one no more, since names of one module are not independent"""
_SIZE_BITS = 10.0
"""equal total sizes, where the names are not all of standard architectures"""


@dataclass(frozen=True, slots=True)
class Likeness:
    """Two checkpoints whose names were laid over each other.

    `pairs`: tensors of A and B with one name after `renaming`. `own`: those of the names (in B's spelling,
    layer indices `*`) that are usual in no well-known architecture. `words`: the parts of own names that
    both sides spell alike, with bits.
    """

    a: Checkpoint
    b: Checkpoint
    renaming: Renaming
    pairs: tuple[tuple[Tensor, Tensor], ...]
    own: tuple[str, ...]
    words: tuple[tuple[str, float], ...]

    @property
    def share(self) -> float:
        """Part of the larger checkpoint's tensors that is explained."""
        return len(self.pairs) / max(len(self.a.tensors), len(self.b.tensors), 1)

    @property
    def shapes(self) -> tuple[int, int]:
        """Pairs with equal shapes, of those whose shapes are known on both sides."""
        known = [
            (one, other) for one, other in self.pairs if one.shape is not None and other.shape is not None
        ]
        return sum(one.shape == other.shape for one, other in known), len(known)

    @property
    def dtypes(self) -> tuple[int, int]:
        """Pairs with equal dtypes, of those whose dtypes are known on both sides."""
        known = [(one, other) for one, other in self.pairs if one.dtype and other.dtype]
        return sum(one.dtype == other.dtype for one, other in known), len(known)

    @property
    def same_size(self) -> bool:
        """Whether both state the same total size."""
        return self.a.total_size is not None and self.a.total_size == self.b.total_size

    @property
    def bits(self) -> float:
        """Bits beyond what a common architecture forces (docs/evidence/weights.md)."""
        return sum(bits for _, bits in self.words) + self.size_bits

    @property
    def size_bits(self) -> float:
        """Bits of equal total sizes; none where all names are of standard architectures, whose sizes are
        common.
        """
        return _SIZE_BITS if self.own and self.same_size else 0.0


def liken(a: Checkpoint, b: Checkpoint, known: frozenset[str] = frozenset()) -> Likeness:
    """Lay B's names over A's. `known` are names of upstream checkpoints, which count like standard ones."""
    renaming = best_renaming(a.tensors, b.tensors)
    partners = {tensor.name: tensor for tensor in b.tensors}
    pairs = []
    for tensor in a.tensors:
        partner = partners.pop(renaming.apply(tensor.name), None)
        if partner is not None:
            pairs.append((tensor, partner))
    own = [
        (one, other)
        for one, other in pairs
        if not any(architecture(side.name) or side.name in known for side in (one, other))
    ]
    return Likeness(
        a,
        b,
        renaming,
        tuple(pairs),
        tuple(dict.fromkeys(pattern(other.name) for _, other in own)),
        weighed(own),
    )


def weighed(pairs: Sequence[tuple[Tensor, Tensor]]) -> tuple[tuple[str, float], ...]:
    """The words that the ends of paired names share, with the bits of each; commonest words left out."""
    words: dict[str, float] = {}
    for one, other in pairs:
        for word, same in zip(reversed(one.name.split(".")), reversed(other.name.split(".")), strict=False):
            if word != same:
                break
            if word and not word.isdigit() and word not in words:
                words[word] = word_bits(word)
    return tuple(
        sorted(
            ((word, bits) for word, bits in words.items() if bits), key=lambda entry: (-entry[1], entry[0])
        )
    )


def word_bits(word: str) -> float:
    """Bits that two sides' use of one word carries; 0 for a common word, and bounded above."""
    bits = rarity("word", word)
    return min(bits, _MOST_BITS) if bits >= _LEAST_BITS else 0.0
