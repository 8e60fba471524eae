"""The one look-up of data files that ship with Uncrib, in a wheel as in an editable install."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path


def grammar(language: str, name: str) -> str:
    """Text of a file of `grammars/<language>/`."""
    return (files("detector.grammars") / language / name).read_text("utf-8")


def template(name: str) -> str:
    """Text of a file of `templates/`."""
    return (files("detector.templates") / name).read_text("utf-8")


@lru_cache(maxsize=4)
def code_digest(places: Iterable[str]) -> str:
    """Digest of code and data at some places of this program: a change there makes void what they made."""
    digest = blake2b(digest_size=6)
    root = Path(__file__).parent
    for place in places:
        path = root / place if (root / place).exists() else root.parent / place
        for file in sorted(path.rglob("*.*")) if path.is_dir() else [path]:
            if file.suffix in (".py", ".scm", ".toml"):
                digest.update(file.read_bytes())
    return digest.hexdigest()
