"""Every place of a repository that states settings: data files, configuration classes, options, modules."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from detector.evidence.finding import Json, Span
from detector.evidence.readers.defaults import read_defaults
from detector.evidence.readers.tree import SUFFIXES, read_trees
from detector.evidence.vocabulary import Entry, entries
from detector.snapshot.model import Notice, Snapshot

LARGEST = 2**20
"""bytes of a settings file; a larger JSON file is data"""
MOST_ENTRIES = 2_000
"""entries of one place; a longer list is data"""
_TOOLING = re.compile(
    r"(^|/)(\.[^/]+/|node_modules/)|(^|/)(package(-lock)?|tsconfig|composer|renovate|angular|vercel|manifest|bower"
    r"|pyproject|poetry|Cargo|Pipfile|netlify|mkdocs|_config|environment|conda|docker-compose[^/]*|action"
    r"|\.[^/]*|codecov|meta|cog|dvc|CITATION|configuration)\.(json|ya?ml|toml)$"
)
_TOKENIZER = re.compile(
    r"(^|/)(tokenizer(_config)?|special_tokens_map|added_tokens|vocab|merges|[^/]*\.index)\.json$"
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Entries that belong together, and where they stand."""

    span: Span
    entries: tuple[Entry, ...]


def read_settings(snapshot: Snapshot, side: str) -> tuple[tuple[Settings, ...], tuple[Notice, ...]]:
    """All settings of one side by path; files of build tools and tokenizers are not among them."""
    trees, notices = read_trees(snapshot, side, _states_settings, min(LARGEST, snapshot.limits.file_bytes))
    found = [Settings(Span(path), leaves) for path, tree in trees.items() if (leaves := _leaves(tree))]
    python = [
        file.path for file in snapshot.files if file.path.endswith(".py") and 0 < (file.size or 0) <= LARGEST
    ]
    for path, content in snapshot.read(python).items():
        for place in read_defaults(path, content, snapshot.limits.parse_seconds):
            found.append(Settings(Span(path, place.name, place.start_line, place.end_line), place.entries))
    found.sort(key=lambda settings: (settings.span.path, settings.span.start_line))
    return tuple(found), notices


def _states_settings(path: str) -> bool:
    return (
        PurePosixPath(path).suffix.lower() in SUFFIXES
        and not _TOOLING.search(path)
        and not _TOKENIZER.search(path)
    )


def _leaves(tree: Json) -> tuple[Entry, ...]:
    """Entries of a settings file; none where it is a list of records or too long, and so holds data."""
    if not isinstance(tree, dict):
        return ()
    leaves = entries(tree)
    return leaves if len(leaves) <= MOST_ENTRIES else ()
