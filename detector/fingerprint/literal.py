"""The values of literals from their text."""

from __future__ import annotations

import ast
import re
import warnings
from contextlib import suppress
from functools import lru_cache
from typing import Any

_OLD_OCTAL = re.compile(r"^0(?=[0-7]+[lL]?$)")
_LONGEST_NUMBER = 1000
"""characters of a number that is still taken by value"""
_BARE_QUOTE = re.compile(r'(?<!\\)((?:\\\\)*)"')


@lru_cache(maxsize=65536)
def number(written: str) -> Any:
    """The value of a number as it is written, also in Python 2; the text of one too long to read."""
    written = written.replace("_", "")
    if written.isdecimal() and len(written) < 16 and (written[0] != "0" or len(written) == 1):
        return int(written)
    if len(written) > _LONGEST_NUMBER:
        return written
    written = _OLD_OCTAL.sub("0o", written)
    try:
        return ast.literal_eval(written.rstrip("lL") if written[:2].lower() != "0x" else written)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return written


@lru_cache(maxsize=65536)
def string(written: str) -> str | bytes:
    """The value of a literal with prefix and quotes (in Python 2 also backquotes) without interpolation."""
    start = next((at for at, character in enumerate(written) if character in "\"'`"), 0)
    width = 3 if written[start : start + 3] in ('"""', "'''") else 1
    return unescaped(written[start + width : -width], written[:start].lower())


def unescaped(body: str, prefix: str) -> str | bytes:
    """The value of a literal's text: escapes undone, braces of f-strings single."""
    if "f" in prefix:
        body = body.replace("{{", "{").replace("}}", "}")
    if "\\" in body and "r" not in prefix:
        with suppress(ValueError, SyntaxError, UnicodeError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quoted = _BARE_QUOTE.sub(r'\1\\"', body)
            body = ast.literal_eval(f'"""{quoted}"""')
    return body.encode("latin-1", "replace") if "b" in prefix else body
