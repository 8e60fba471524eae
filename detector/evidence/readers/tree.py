"""JSON, YAML and TOML as plain trees, within limits that hostile files cannot pass.

Parsing is left to `json`, PyYAML's safe loader and `tomllib`. What they leave open is closed here: depth
(their parsers or composers recurse), the number of nodes, and YAML aliases, which are counted as if
written out before anything is built, so that ten lines cannot stand for a billion nodes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from detector.evidence.finding import Json
from detector.evidence.vocabulary import decode
from detector.snapshot.model import Notice, Snapshot

if TYPE_CHECKING:
    from yaml.events import Event

SUFFIXES = (".json", ".yaml", ".yml", ".toml")
"""file names that `read_tree` understands"""
MOST_YAML_NODES = 50_000
"""nodes of a YAML file, aliases written out"""
LARGEST_YAML = 2**20
"""bytes of a YAML or TOML file; settings are smaller, and these parsers are slow"""
DEEPEST = 100
"""levels of nesting in a YAML file"""


class Unreadable(ValueError):
    """Why a file gives no data, as a clause that follows its path: "is nested too deeply"."""


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
    text = decode(data)
    try:
        _refuse_explosion(yaml.parse(text, Loader=loader))
        documents = [_as_json(document) for document in yaml.load_all(text, Loader=loader)]
    except yaml.YAMLError as error:
        raise Unreadable(f"is not valid YAML ({' '.join(str(error).split())[:120]})") from None
    return documents[0] if len(documents) == 1 else documents


def _refuse_explosion(events: Iterable[Event]) -> None:
    """Raise Unreadable if the nodes, with aliases written out, are too many or too deep.

    An alias to a node that is still open would contain itself and is refused.
    """
    from yaml import events as kinds  # noqa: PLC0415

    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    total = 0
    for event in events:
        if isinstance(event, kinds.AliasEvent):
            if event.anchor not in sizes:
                raise Unreadable("has an alias to itself or to nothing")
            total += sizes[event.anchor]
        elif isinstance(event, kinds.CollectionStartEvent):
            open_nodes.append((event.anchor, total))
            total += 1
        elif isinstance(event, kinds.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor:
                sizes[anchor] = total - before
        elif isinstance(event, kinds.ScalarEvent):
            total += 1
            if event.anchor:
                sizes[event.anchor] = 1
        if total > MOST_YAML_NODES or len(open_nodes) > DEEPEST:
            raise Unreadable("is too large or too deep once its aliases are written out")


def _as_json(value: Any) -> Json:
    """Dates, sets and keys that are not text become text; recursion is bounded by the parsers' depth."""
    if isinstance(value, dict):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_as_json(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
