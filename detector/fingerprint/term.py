"""Terms: what an expression computes, as hashes of its dataflow tree cut off at small depths.

A term is hashed at two levels. The *exact* level keeps constants by value, API names in full and the
order of arguments where it matters. The *abstract* level keeps only which operations feed which:
every leaf vanishes (so a parameter turned into its constant leaves no trace), API names become concepts
(`torch.cat`, `np.concatenate` and `tf.concat` are one), and arguments have no order.

Hashes are 64-bit and the same on every machine and run: strings go through BLAKE2b, tuples of integers
through CPython's tuple hash, which is unseeded (xxHash's mixing since Python 3.8; pinned by a test).
"""

from __future__ import annotations

from array import array
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

LEVELS = ("exact 1", "exact 2", "exact 3", "abstract 2", "abstract 3")
"""what the columns of a fingerprint hold: level, and the depth at which the term is cut off"""
DEPTHS = (1, 2, 3, 2, 3)


class Term(NamedTuple):
    """The value of an expression, as far as a parent needs it.

    `exact1`, `exact2`: hashes at depth 1 (the operation alone) and 2; `abstract1`, `abstract2` likewise,
    0 for a leaf. `fact` is what rewrites ask for: None, or a tuple whose first item names it:
    ("constant", value), ("api", dotted name), ("own", name), ("module", name), ("elements", terms),
    ("list",), ("quotient", a, b), ("length", term), ("each", term), ("index", term), ("logger",).
    `node` is the index of the recorded node, -1 where there is none.
    """

    exact1: int
    exact2: int
    abstract1: int
    abstract2: int
    fact: Any = None
    node: int = -1


@lru_cache(maxsize=65536)
def digest(text: str) -> int:
    """63-bit hash of a string, the same everywhere."""
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "little") >> 1


LEAF = digest("leaf")
VARIABLE = Term(LEAF, LEAF, 0, 0)
"""a parameter, an attribute of the receiver, an unknown name: whatever a copier can rename"""


@lru_cache(maxsize=65536, typed=True)
def constant(value: object) -> Term:
    """A literal, by value: 1, 1.0 and True are one, as they are equal."""
    try:
        text = repr(value + 0.0) if isinstance(value, (int, float)) else f"{type(value).__name__} {value!r}"
    except OverflowError:
        text = repr(value)
    code = digest(f"constant {text}")
    return Term(code, code, 0, 0, ("constant", value))


NONE = constant(None)


class Record:
    """What the walk of one unit leaves behind; arrays grow by one row a node.

    `terms`: five hashes a node, in the order of `LEVELS`; `places`: the node's statement;
    `statements`: (first line, last line, first byte in the one, end in the other); `names` and `nodes`:
    each renamable name (attributes with a leading dot) and the node that it stands directly under or is
    bound to; `calls`: own functions and classes that are called.
    """

    __slots__ = ("calls", "names", "nodes", "places", "statements", "terms")

    def __init__(self) -> None:
        self.terms = array("q")
        self.places = array("i")
        self.statements: list[tuple[int, int, int, int]] = []
        self.names: list[str] = []
        self.nodes = array("i")
        self.calls: set[str] = set()
