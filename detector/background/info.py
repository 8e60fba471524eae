"""What a background holds, in words: `uncrib background info`."""

from __future__ import annotations

from pathlib import Path

from detector.background.archive import open_archive
from detector.background.background import Background
from detector.background.rarity import KINDS

_WORDS = {
    "word": "identifiers",
    "text": "string literals",
    "key": "settings keys",
    "entry": "settings entries",
}


def describe(path: Path | None = None) -> str:
    """A few lines of plain text about a background, by default the one that ships with Uncrib.

    Raises UncribError if the file is missing, damaged, or not a background.
    """
    background = Background.open(path)
    intact = (
        "intact"
        if open_archive(background.path).intact()
        else "DAMAGED: install Uncrib again or build it anew"
    )
    terms, commons = background.terms, background.commons
    rows = [
        ("background", f"{background.name}, version {background.version}"),
        ("file", f"{background.path} ({background.path.stat().st_size / 1e6:.1f} MB, content {intact})"),
        ("packages", f"{len(background.packages):,} (listed in {background.path.with_suffix('.tsv').name})"),
        (
            "functions",
            f"{background.functions:,} distinct, in {background.families:,} families of like units",
        ),
        (
            "terms",
            f"{len(terms.keys):,} with up to {terms.unknown:.1f} bits; {terms.unknown:.1f} for all others",
        ),
        *(
            (_WORDS[kind], f"{len(table.keys):,}; {table.unknown:.1f} bits for all others")
            for kind, table in ((kind, background.words[kind]) for kind in KINDS)
        ),
        ("commons", f"{len(commons):,} families that two unrelated packages or a core library carry"),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)
