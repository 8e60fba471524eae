"""Tensor names that well-known architectures share; `standard.toml` lists them as data."""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from importlib.resources import files

from detector.evidence.checkpoints.nametree import pattern

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def architecture(name: str) -> str | None:
    """The architecture that the end of a tensor's name is usual in; None for a name that is nobody's in
    particular.
    """
    return _architecture(pattern(name))


@lru_cache(maxsize=4096)
def _architecture(shape: str) -> str | None:
    match = _names().search(shape)
    return match.lastgroup.replace("_", "-") if match and match.lastgroup else None


@lru_cache(maxsize=1)
def _names() -> re.Pattern[str]:
    text = files("detector.evidence.checkpoints").joinpath("standard.toml").read_text(encoding="utf-8")
    groups = [
        f"(?P<{architecture.replace('-', '_')}>{'|'.join(map(_expression, ends))})"
        for architecture, ends in tomllib.loads(text).items()
    ]
    return re.compile(rf"(?:^|\.)(?:{'|'.join(groups)})\Z")


def _expression(end: str) -> str:
    """A listed name as a regular expression without groups of its own."""
    return end.replace(".", r"\.").replace("*", r"\*").replace("(", "(?:")
