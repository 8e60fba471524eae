"""A text as a set of short token runs, cheap enough for every version of every file.

The code class compares what code computes; for history that would cost seconds where milliseconds are
enough, since the question is only *which* version of a file that is known to match fits best. Runs of tokens
(shingles, Broder 1997, "On the resemblance and containment of documents") with the names that only one side
knows erased are not moved by renaming and reformatting, and every later edit shows in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from keyword import kwlist
from zlib import crc32

Shingles = frozenset[int]

_TOKEN = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*|\d[\w.]*|\"[^\"\n]*\"|'[^'\n]*'|#[^\n]*|[^\s\w]")
_NAME = re.compile(rb"[A-Za-z_]")
_KEYWORDS = frozenset(word.encode() for word in kwlist)
_LENGTH = 6
"""tokens of one shingle"""
_TELLING = 3
"""of these, tokens that must be kept names, keywords, numbers or strings"""
_FACTOR = 0x9E3779B97F4A7C15


def shared_words(one: Iterable[bytes], other: Iterable[bytes]) -> frozenset[bytes]:
    """The names that occur in texts of both sides."""
    return _words(one) & _words(other)


def _words(texts: Iterable[bytes]) -> frozenset[bytes]:
    tokens: set[bytes] = set()
    for text in texts:
        tokens.update(_TOKEN.findall(text))
    return frozenset(token for token in tokens if _NAME.match(token))


class Shingler:
    """Makes shingles of texts in which all names outside `kept` are erased."""

    def __init__(self, kept: frozenset[bytes]) -> None:
        self.kept = kept | _KEYWORDS
        self._codes = _Codes(self.kept)

    def __call__(self, text: bytes) -> Shingles:
        """The shingles of a text as 64-bit checksums.

        Comments are left out, quotes of both kinds count as one, and runs that hold hardly more than
        punctuation and erased names are dropped: they agree by chance.
        """
        import numpy as np  # noqa: PLC0415

        codes = np.fromiter(map(self._codes.__getitem__, _TOKEN.findall(text)), dtype=np.uint64)
        codes = codes[codes != 0]
        runs = len(codes) - _LENGTH + 1
        if runs <= 0:
            return frozenset()
        sums = np.zeros(runs, dtype=np.uint64)
        telling = np.zeros(runs, dtype=np.int64)
        for at in range(_LENGTH):
            sums = sums * np.uint64(_FACTOR) + codes[at : at + runs]
            telling += (codes[at : at + runs] & np.uint64(1)).astype(np.int64)
        return frozenset(sums[telling >= _TELLING].tolist())


class _Codes(dict[bytes, int]):
    """Token -> checksum: 0 for a comment, odd for a telling token, even for punctuation and erased names."""

    def __init__(self, kept: frozenset[bytes]) -> None:
        super().__init__()
        self._kept = kept

    def __missing__(self, token: bytes) -> int:
        if token.startswith(b"#"):
            code = 0
        elif token[:1] in (b'"', b"'"):
            code = crc32(token[1:-1], 1) | 1
        elif _NAME.match(token):
            code = crc32(token) | 1 if token in self._kept else 2
        else:
            code = crc32(token) | 1 if token[:1].isdigit() else crc32(token) << 1 | 4
        self[token] = code
        return code
