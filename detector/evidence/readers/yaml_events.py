"""A YAML tree composed from the parser's events, with aliases counted as if written out.

PyYAML's own composer recurses in C, and its loaders let ten lines of aliases stand for a billion nodes. Here
the tree is built without recursion, and refused before it grows: an alias costs as much as what it repeats.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from detector.evidence.finding import Json
from detector.evidence.readers.unreadable import Unreadable

if TYPE_CHECKING:
    from yaml.events import Event

MOST_NODES = 50_000
"""nodes of a file, aliases written out"""
DEEPEST = 100
"""levels of nesting"""
_LONGEST_WORD = 40
"""characters of a scalar that may be more than text"""
_TOO_LARGE = "is too large or too deep once its aliases are written out"
_NULLS = ("", "~", "null")
_TRUE = ("true", "yes", "on")
_FALSE = ("false", "no", "off")


class _Open:
    """A collection whose end has not come: its anchor, and the nodes before it."""

    __slots__ = ("anchor", "before", "value")

    def __init__(self, value: Json, anchor: str | None, before: int) -> None:
        self.value, self.anchor, self.before = value, anchor, before

    def add(self, item: Json, written: str) -> None:
        """Take a value; where it is a key, it counts as it is `written`."""
        raise NotImplementedError


class _Sequence(_Open):
    __slots__ = ("items",)

    def __init__(self, anchor: str | None = None, before: int = 0) -> None:
        self.items: list[Json] = []
        super().__init__(self.items, anchor, before)

    def add(self, item: Json, written: str) -> None:
        self.items.append(item)


class _Mapping(_Open):
    __slots__ = ("held", "key")

    def __init__(self, anchor: str | None, before: int) -> None:
        self.held: dict[str, Json] = {}
        self.key: str | None = None
        super().__init__(self.held, anchor, before)

    def add(self, item: Json, written: str) -> None:
        """Take the key of the next value, or the value for the key that waits for one."""
        if self.key is None:
            self.key = written
            return
        if self.key == "<<":
            for part in item if isinstance(item, list) else [item]:
                if isinstance(part, dict):
                    self.held.update({name: value for name, value in part.items() if name not in self.held})
        else:
            self.held[self.key] = item
        self.key = None


def compose(events: Iterable[Event]) -> Json:
    """The tree of a stream of events; a list if there are several documents. Raises Unreadable."""
    from yaml import events as kinds  # noqa: PLC0415

    root = _Sequence()
    stack: list[_Open] = [root]
    anchored: dict[str, tuple[Json, int]] = {}
    nodes = 0
    for event in events:
        written = ""
        if isinstance(event, kinds.ScalarEvent):
            nodes += 1
            written = event.value
            done = scalar(written) if event.implicit[0] else written
            if event.anchor:
                anchored[event.anchor] = (done, 1)
        elif isinstance(event, kinds.CollectionStartEvent):
            opened = _Sequence if isinstance(event, kinds.SequenceStartEvent) else _Mapping
            stack.append(opened(event.anchor, nodes))
            nodes += 1
            if len(stack) > DEEPEST:
                raise Unreadable(_TOO_LARGE)
            continue
        elif isinstance(event, kinds.CollectionEndEvent):
            closed = stack.pop()
            done = closed.value
            if closed.anchor:
                anchored[closed.anchor] = (done, nodes - closed.before)
        elif isinstance(event, kinds.AliasEvent):
            if event.anchor not in anchored:
                raise Unreadable("has an alias to itself or to nothing")
            done, size = anchored[event.anchor]
            nodes += size
        else:  # the start or the end of a document
            continue
        if nodes > MOST_NODES:
            raise Unreadable(_TOO_LARGE)
        stack[-1].add(done, written)
    documents = root.items
    return documents[0] if len(documents) == 1 else documents


def scalar(text: str) -> Json:
    """A plain scalar by the core schema of YAML 1.2 and its older booleans; 1e-4 is a number, as is meant."""
    return _short(text) if len(text) <= _LONGEST_WORD else text


@lru_cache(maxsize=4096)  # the same few words and numbers fill most files
def _short(text: str) -> Json:
    if text and (text[0].isdigit() or text[0] in "+-."):
        for kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
        return text
    lowered = text.lower()
    if lowered in _NULLS:
        return None
    if lowered in _TRUE or lowered in _FALSE:
        return lowered in _TRUE
    return text
