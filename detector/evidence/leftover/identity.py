"""What one side calls itself, and where the other side says it: projects, organisations, authors."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from detector.evidence.rare import is_rare
from detector.evidence.readers.tree import read_tree
from detector.evidence.readers.unreadable import Unreadable
from detector.evidence.words import Words
from detector.snapshot.model import Snapshot

SHORTEST = 5
_NAMING = ("_name_or_path", "model_type", "name")
_AUTHOR = re.compile(
    r"(?i:copyright)\s+(?:\(c\)|©)?[\s\d,-]*(?:by\s+)?([A-Z][\w.'-]+(?: [A-Z][\w.'-]+){1,3})"
)
_COMPANY = re.compile(
    r"google|facebook|meta|microsoft|nvidia|openai|hugging|apple|amazon|baidu|alibaba|tencent|apache|foundation"
    r"|inc\b|team|authors|contributors|university|research|rights|owner|lab|name of",
    re.IGNORECASE,
)
_MODEL_FILE = "config.json"
_SEPARATORS = re.compile(r"[\W_]+")
_MOST_TEXT = 2**18


@dataclass(frozen=True, slots=True)
class Mention:
    """A name of one side, and the place (`path:line`) on the other side that holds it."""

    name: str
    where: str


def names_of(snapshot: Snapshot, texts: Mapping[str, str]) -> tuple[str, ...]:
    """Names under which a side is known: its label, its model's name, the person named in its licence."""
    names = set(snapshot.label.split("/"))
    for path, text in texts.items():
        if path.endswith(_MODEL_FILE):
            names |= _model_names(path, text)
        if "licen" in path.lower():
            names |= {name for name in _AUTHOR.findall(text[:2000]) if not _COMPANY.search(name)}
    return tuple(sorted(name for name in names if _telling(name)))


def _model_names(path: str, text: str) -> set[str]:
    """What a model's config calls it; the parts that it is built of have names of their own, further in."""
    try:
        tree = read_tree(path, text.encode("utf-8", "replace"))
    except Unreadable:
        return set()
    found = [tree.get(key) for key in _NAMING] if isinstance(tree, dict) else []
    return {part for name in found if isinstance(name, str) and len(name) < 100 for part in name.split("/")}


def mentions(names: Collection[str], words: Words, texts: Mapping[str, str]) -> tuple[Mention, ...]:
    """The first place of the other side for each name, code before text, in any case and separators."""
    if not names:
        return ()
    lowered = {path: text[:_MOST_TEXT].lower() for path, text in (*words.texts.items(), *texts.items())}
    found = []
    for name in names:
        parts = [part for part in _SEPARATORS.split(name.lower()) if part]
        spellings = sorted({separator.join(parts) for separator in ("", "-", "_", " ", ".")})
        for path, text in lowered.items():
            at = min((at for spelling in spellings if (at := text.find(spelling)) >= 0), default=-1)
            if at >= 0:
                line = text.count("\n", 0, at) + 1
                found.append(Mention(name, f"{path}:{line}"))
                break
    return tuple(found)


def _telling(name: str) -> bool:
    plain = _SEPARATORS.sub("", name)
    return len(plain) >= SHORTEST and not plain.isdigit() and is_rare("word", plain.lower())
