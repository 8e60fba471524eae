"""The one look-up of data files that ship with Uncrib, in a wheel as in an editable install."""

from __future__ import annotations

from importlib.resources import files


def grammar(language: str, name: str) -> str:
    """Text of a file of `grammars/<language>/`."""
    return (files("detector.grammars") / language / name).read_text("utf-8")


def template(name: str) -> str:
    """Text of a file of `templates/`."""
    return (files("detector.templates") / name).read_text("utf-8")
