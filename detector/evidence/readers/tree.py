"""JSON, YAML and TOML as plain trees, within limits that hostile files cannot pass.

Parsing is left to `json`, PyYAML and `tomllib`; a file nested so deeply that they give up is unreadable. Of
PyYAML only the parser is used: `yaml_events` builds the tree within limits, and no tag constructs anything.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from detector.evidence.finding import Json
from detector.evidence.readers.unreadable import Unreadable
from detector.evidence.readers.yaml_events import compose
from detector.evidence.vocabulary import decode
from detector.snapshot.model import Notice, Snapshot

__all__ = ["SUFFIXES", "Unreadable", "read_tree", "read_trees"]

SUFFIXES = (".json", ".yaml", ".yml", ".toml")
"""file names that `read_tree` understands"""
LARGEST_YAML = 2**20
"""bytes of a YAML or TOML file; settings are smaller, and these parsers are slow"""


def read_tree(path: str, data: bytes) -> Json:
    """The data of a JSON, YAML or TOML file. Raises only Unreadable, for all that is not."""
    suffix = PurePosixPath(path).suffix.lower()
    read: Callable[[bytes], Json] = {".json": _json, ".toml": _toml}.get(suffix, _yaml)
    try:
        return read(data)
    except Unreadable:
        raise
    except RecursionError:
        raise Unreadable("is nested too deeply to be settings") from None
    except (ValueError, OverflowError, MemoryError) as error:
        reason = " ".join(str(error).split())[:120]
        raise Unreadable(f"is not valid {suffix.lstrip('.').upper() or 'data'} ({reason})") from None


def read_trees(
    snapshot: Snapshot, side: str, wanted: Callable[[str], bool], largest: int
) -> tuple[dict[str, Json], tuple[Notice, ...]]:
    """Trees by path of the wanted files that are at hand; what is too large or unreadable is a notice."""
    files = [file for file in snapshot.files if wanted(file.path)]
    large = [file.path for file in files if (file.size or 0) > largest]
    notices = []
    if large:
        others = f" (and {len(large) - 1} more)" if len(large) > 1 else ""
        notices.append(
            Notice(f"is over {largest:,} bytes and was taken for data, not settings{others}", large[0], side)
        )
    trees = {}
    for path, data in snapshot.read(file.path for file in files if (file.size or 0) <= largest).items():
        try:
            trees[path] = read_tree(path, data)
        except Unreadable as error:
            notices.append(Notice(str(error), path, side))
    return trees, tuple(notices)


def _json(data: bytes) -> Json:
    tree: Json = json.loads(data)
    if b"\\ud" in data.lower():  # a lone surrogate is valid in JSON and in no report
        tree = json.loads(json.dumps(tree, ensure_ascii=False).encode("utf-8", "replace"))
    return tree


def _toml(data: bytes) -> Json:
    if len(data) > LARGEST_YAML:
        raise Unreadable(f"is larger than {LARGEST_YAML:,} bytes")
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415
    else:
        import tomli as tomllib  # noqa: PLC0415
    return _as_json(tomllib.loads(decode(data)))


def _yaml(data: bytes) -> Json:
    import yaml  # noqa: PLC0415 - 20 ms

    if len(data) > LARGEST_YAML:
        raise Unreadable(f"is larger than {LARGEST_YAML:,} bytes")
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return compose(yaml.parse(decode(data), Loader=loader))
    except yaml.YAMLError as error:
        raise Unreadable(f"is not valid YAML ({' '.join(str(error).split())[:120]})") from None


def _as_json(value: Any) -> Json:
    """Dates, sets and keys that are not text become text; recursion is bounded by the parsers' depth."""
    if isinstance(value, dict):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_as_json(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
