"""A text as a set of short token runs, cheap enough for every version of every file.

The code class compares what code computes; for history that would cost seconds where milliseconds are
enough, since the question is only *which* version of a file that is known to match fits best. Runs of
tokens (shingles, Broder 1997, "On the resemblance and containment of documents") with the names that only
one side knows erased are not moved by renaming and reformatting, and every later edit shows in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from keyword import kwlist
from zlib import crc32

_TOKEN = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*|\d[\w.]*|\"[^\"\n]*\"|'[^'\n]*'|#[^\n]*|[^\s\w]")
_NAME = re.compile(rb"[A-Za-z_]")
_QUOTES = b"\"'"
_LENGTH = 6
"""tokens of one shingle"""
_TELLING = 3
"""of these, tokens that must be kept names, keywords or literals"""
_KEYWORDS = frozenset(word.encode() for word in kwlist)

Shingles = frozenset[int]


def words(data: bytes) -> frozenset[bytes]:
    """The names in a text."""
    return frozenset(token for token in _TOKEN.findall(data) if _NAME.match(token))


def shingles(data: bytes, kept: frozenset[bytes]) -> Shingles:
    """The shingles of a text as 32-bit checksums. Names outside `kept` are erased.

    Comments are left out, quotes of both kinds count as one, and runs that hold hardly more than
    punctuation and erased names are dropped: they agree by chance.
    """
    tokens = [_spelling(token, kept) for token in _TOKEN.findall(data) if not token.startswith(b"#")]
    telling = [
        token != b"_" and (token[0] in _QUOTES or token[:1].isalnum() or token[:1] == b"_")
        for token in tokens
    ]
    return frozenset(
        crc32(b"\0".join(tokens[at : at + _LENGTH]))
        for at in range(len(tokens) - _LENGTH + 1)
        if sum(telling[at : at + _LENGTH]) >= _TELLING
    )


def _spelling(token: bytes, kept: frozenset[bytes] | None) -> bytes:
    if token[0] in _QUOTES:
        return b'"' + token[1:-1] + b'"'
    if kept is None or not _NAME.match(token) or token in kept or token in _KEYWORDS:
        return token
    return b"_"


def shared_words(one: Iterable[bytes], other: Iterable[bytes]) -> frozenset[bytes]:
    """The names that occur in texts of both sides."""
    return frozenset().union(*map(words, one)) & frozenset().union(*map(words, other))
